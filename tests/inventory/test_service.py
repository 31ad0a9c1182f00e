"""The inventory service as it runs: through its inbox, and whole on real Kafka with raw JSON of a foreign producer."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import msgspec
from confluent_kafka import Producer

from dovecote.contracts import Contracts
from dovecote.database import Database
from dovecote.kafka import Admin
from dovecote.migrate import migrate
from dovecote.service import Service
from dovecote.sql import Sql
from dovecote.testing import Bench, eventually
from ecom.contracts import CONTRACTS
from ecom.inventory.service import build
from tests.inventory.stories import OrderPaid, broken, holds, levels, order, shelve

DEAD = Sql("SELECT status, error FROM dead_letter ORDER BY id")
CREATED = "order.created.v1"


def raw(payload: dict[str, Any]) -> bytes:
    """An envelope with no more than a reader needs."""
    return msgspec.json.encode({"eventId": str(uuid4()), "eventType": CREATED, "payload": payload})


async def test_a_repeat_has_no_effect_and_poison_hurts_nobody(database: Database) -> None:
    """One event twice holds once; orders that cannot be read or stored are dead letters, their neighbours are held."""
    bench = Bench(build({}).blueprint, database)
    await shelve(database, A=5)
    good, neighbour = bench.message(order("o1", A=1)), bench.message(order("o2", A=1))
    poison = [
        raw({"orderId": "o3", "items": [{"sku": "A", "quantity": 0}]}),
        raw({"orderId": "x" * 51, "items": [{"sku": "A", "quantity": 1}]}),
        raw({"orderId": "nul\0", "items": [{"sku": "A", "quantity": 1}]}),
        b"not json",
        None,
    ]
    await bench.deliver(good, *(bench.raw(CREATED, value) for value in poison), good, neighbour)
    await bench.deliver(good)
    await bench.deliver(OrderPaid(order_id="o1"))
    assert await levels(database, "A") == [(3, 1)]
    assert await holds(database) == {"o1": "CONFIRMED", "o2": "HELD"}
    assert len(await bench.published()) == 2
    assert sorted(row["status"] for row in await database.fetch(DEAD)) == ["DEAD"] * 4 + ["RETRYING"]
    assert await broken(database) == []


async def test_ten_foreign_orders_for_five_units(empty_database_url: str, bootstrap: str, prefix: str) -> None:
    """On real Kafka: ten raw orders for a SKU with stock 5, each sent twice: 5 held, 5 refused, 0 available."""
    blueprint = build({}).blueprint
    await asyncio.to_thread(
        migrate, empty_database_url, schema=prefix + blueprint.schema, folders=[blueprint.migrations]
    )
    service = Service(
        blueprint,
        database_url=empty_database_url,
        bootstrap=bootstrap,
        contracts=Contracts.load(CONTRACTS),
        prefix=prefix,
    )
    await service.start()
    try:
        await shelve(service.database, A=5)
        orders = [raw({"orderId": f"o{n}", "items": [{"sku": "A", "quantity": 1}]}) for n in range(10)]
        await asyncio.to_thread(send, bootstrap, prefix + CREATED, orders * 2)

        async def answered() -> bool:
            return len(await holds(service.database)) == 10 and await service.lag() == 0

        await eventually(answered, seconds=30, what="all ten orders are answered")
        assert sorted((await holds(service.database)).values()) == ["HELD"] * 5 + ["REFUSED"] * 5
        assert await levels(service.database, "A") == [(0, 5)]
        assert await broken(service.database) == []
    finally:
        await service.stop()
        admin = Admin(bootstrap)
        await admin.delete_groups([service.group])
        await admin.delete_topics([*service.said, *service.heard])


def send(bootstrap: str, topic: str, values: list[bytes]) -> None:
    """Send raw values, whatever a foreign producer makes of them."""
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for value in values:
        producer.produce(topic, value=value)
    assert producer.flush(20) == 0
