"""News of products on real Kafka: an order a moment after its product, a group that is behind, the old price."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from confluent_kafka import Producer

from dovecote.contracts import Contracts
from dovecote.kafka import Admin
from dovecote.migrate import migrate
from dovecote.service import Service
from dovecote.sql import Sql
from dovecote.testing import eventually
from ecom.contracts import CONTRACTS
from ecom.order import price_store
from ecom.order.service import build
from tests.order.pricing import LONG, body, customer, line, soon, until_waiting

UPSERTED, DELETED = "product.upserted.v1", "product.deleted.v1"
LOCK = Sql("SELECT 1 FROM price WHERE product_id = $1 FOR UPDATE")


@dataclass
class Shop:
    """The order service at work, and a product service that is not ours."""

    service: Service
    producer: Producer
    prefix: str

    def say(self, kind: str, product_id: str, **payload: Any) -> None:
        """Publish an event as another implementation writes it."""
        value = {"eventId": str(uuid4()), "eventType": kind, "payload": {"productId": product_id, **payload}}
        self.producer.produce(self.prefix + kind, msgspec.json.encode(value), key=product_id)
        self.producer.poll(0)

    async def until_heard(self, product_id: str, price: float | None) -> None:
        """Wait until the list has this price of a product, None for a product that is gone."""

        async def heard() -> bool:
            known = (await price_store.read(self.service.database, {product_id})).get(product_id)
            return known is not None and known.amount == (None if price is None else type(known.amount)(str(price)))

        await eventually(heard, seconds=60, what=f"{product_id} costs {price}")

    async def until_rest(self) -> None:
        """Wait until the group has heard everything."""

        async def rests() -> bool:
            return await self.service.lag() == 0

        await eventually(rests, what="all news is heard")

    def customer(self, **settings: str) -> contextlib.AbstractAsyncContextManager[httpx.AsyncClient]:
        """A customer of this shop."""
        return customer(self.service.database, settings)


@pytest.fixture(scope="module")
async def open_shop(module_database_url: str, bootstrap: str) -> AsyncIterator[Shop]:
    """One running service for these stories; each has products of its own."""
    prefix = f"t{uuid4().hex[:8]}_"
    blueprint = build({}).blueprint
    await asyncio.to_thread(
        migrate, module_database_url, schema=prefix + blueprint.schema, folders=[blueprint.migrations]
    )
    contracts = Contracts.load(CONTRACTS)
    service = Service(
        blueprint, database_url=module_database_url, bootstrap=bootstrap, contracts=contracts, prefix=prefix
    )
    await service.start()
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 0})
    shop = Shop(service, producer, prefix)
    try:
        shop.say(UPSERTED, "first", name="n", price=1)
        await shop.until_heard("first", 1)
        yield shop
    finally:
        producer.flush(15)
        await service.stop()
        admin = Admin(bootstrap)
        await admin.delete_groups([service.group])
        await admin.delete_topics([*service.said, *service.heard])


async def test_an_order_a_moment_after_its_product(open_shop: Shop) -> None:
    """Placed before the event has even left: 201 as soon as it has come."""
    async with open_shop.customer(**LONG) as client:
        order = asyncio.create_task(client.post("/api/orders", json=body(line("moment", 9.9))))
        await until_waiting(1)
        open_shop.say(UPSERTED, "moment", name="n", price="9.90", version=1)
        assert (await soon(order))[0].status_code == 201


async def test_an_order_that_is_wrong_in_earnest(open_shop: Shop) -> None:
    """Kafka is asked, nothing is on its way, 422; a product that is deleted can be ordered no longer."""
    open_shop.say(UPSERTED, "old", name="n", price=3)
    await open_shop.until_heard("old", 3)
    open_shop.say(DELETED, "old")
    await open_shop.until_heard("old", None)
    await open_shop.until_rest()
    async with open_shop.customer(APP_ORDER_PRICEPATIENCE="PT0.1S") as client:
        for product_id, code in (("old", "PRODUCT_DELETED"), ("never", "PRODUCT_UNKNOWN")):
            answer = await client.post("/api/orders", json=body(line(product_id, 3)))
            assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_a_group_that_is_behind_refuses_nothing(open_shop: Shop) -> None:
    """While the consumer is held up, the list may be wrong: 503; afterwards the same order is refused, or placed."""
    open_shop.say(UPSERTED, "held", name="n", price=1)
    await open_shop.until_heard("held", 1)
    async with open_shop.customer(APP_ORDER_PRICEPATIENCE="PT0.1S") as client:
        async with open_shop.service.database.transaction("work") as tx:
            await tx.fetchval(LOCK, "held")
            open_shop.say(UPSERTED, "held", name="n", price=2)

            async def behind() -> bool:
                return await open_shop.service.lag([UPSERTED]) > 0

            await eventually(behind, what="the consumer is held up")
            for price in (2, 3):
                late = await client.post("/api/orders", json=body(line("held", price)))
                assert (late.status_code, late.json()["code"]) == (503, "PRICES_BEHIND")
                assert int(late.headers["Retry-After"]) > 0
            # The other side of the same coin: until the news is heard, the old price is the price.
            assert (await client.post("/api/orders", json=body(line("held", 1)))).status_code == 201
        await open_shop.until_heard("held", 2)

        async def refused() -> int | None:
            answer = await client.post("/api/orders", json=body(line("held", 1)))
            return answer.status_code if answer.status_code != 503 else None

        assert await eventually(refused, what="the old price is refused") == 422
        assert (await client.post("/api/orders", json=body(line("held", 2)))).status_code == 201


async def test_lag_on_other_topics_is_no_excuse(open_shop: Shop) -> None:
    """Only news of products could make a wrong order right: what payment says is not waited for."""
    await open_shop.until_rest()
    async with (
        open_shop.customer(APP_ORDER_PRICEPATIENCE="PT0S") as client,
        open_shop.service.database.transaction("consumer"),  # the consumer's only connection
    ):
        open_shop.say("payment.failed.v1", "x", orderId="o")

        async def behind() -> bool:
            return await open_shop.service.lag() == 1

        await eventually(behind, what="payment's news is not heard")
        assert (await client.post("/api/orders", json=body(line("never", 1)))).status_code == 422
