"""The order service as it runs: through its inbox, and whole on real Kafka."""

from __future__ import annotations

import asyncio
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
from ecom.order.domain import PaymentWasAuthorized, Status, StockWasReserved
from ecom.order.service import build
from tests.order.stories import OrderShop

DEAD = Sql("SELECT topic, status FROM dead_letter ORDER BY topic, id")
FOREIGN = Sql("SELECT count(*) FROM foreign_fact")
ORDER = "payment.authorized.v1"


async def test_a_repeat_has_no_effect_and_poison_hurts_nobody(database: Database, shop: OrderShop) -> None:
    """The same event twice moves an order once; unreadable neighbours become dead letters, foreign orders do not."""
    bench = Bench(build({}).blueprint, database)
    (order,) = await shop.place()
    good = bench.message(PaymentWasAuthorized(order_id=order.id))
    foreign = bench.message(PaymentWasAuthorized(order_id="of-another-shop"))
    lines = [b"no json", None, b'{"eventType":"payment.authorized.v1","payload":{"orderId":"x"}}']
    number = msgspec.json.encode({"eventId": str(uuid4()), "eventType": ORDER, "payload": {"orderId": 5}})
    await bench.deliver(*(bench.raw(ORDER, value) for value in [*lines, number]), good, foreign, good)
    await bench.deliver(StockWasReserved(order_id=order.id))
    await bench.deliver(good)
    assert (await shop.order(order.id)).status is Status.CONFIRMED
    assert [published.event_type for published in await bench.published()] == [
        "order.created.v1",
        "order.confirmed.v1",
    ]
    assert [row["status"] for row in await database.fetch(DEAD)] == ["DEAD"] * 4
    assert await database.fetchval(FOREIGN) == 1


async def test_the_service_runs_whole(empty_database_url: str, bootstrap: str, prefix: str) -> None:
    """On real Kafka: an order's event leaves, answers sent as raw JSON arrive, the sweep ends what is overdue."""
    blueprint = build({"APP_SAGA_PAYMENTTIMEOUT": "PT20S"}).blueprint
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
        shop = OrderShop(service.database)
        answered, ignored = (await shop.place())[0].id, (await shop.place(timeout=-blueprint.app.saga.timeout))[0].id
        await asyncio.to_thread(
            answer,
            bootstrap,
            {prefix + kind: {"orderId": answered} for kind in ("inventory.reserved.v1", "payment.authorized.v1")},
        )

        async def ended() -> bool:
            return [(await shop.order(order_id)).status for order_id in (answered, ignored)] == [
                Status.CONFIRMED,
                Status.TIMED_OUT,
            ]

        await eventually(ended, seconds=30, what="one order is CONFIRMED, the other TIMED_OUT")
        assert await shop.said(answered) == [("order.created.v1", 1), ("order.confirmed.v1", 2)]
        assert await shop.said(ignored) == [("order.created.v1", 1), ("order.timed-out.v1", 2)]
    finally:
        await service.stop()
        admin = Admin(bootstrap)
        await admin.delete_groups([service.group])
        await admin.delete_topics([*service.said, *service.heard])


def answer(bootstrap: str, payloads: dict[str, dict[str, str]]) -> None:
    """Send one foreign event to each topic; the event type is the topic without its prefix."""
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for topic, payload in payloads.items():
        kind = topic.split("_", 1)[1]
        producer.produce(topic, msgspec.json.encode({"eventId": str(uuid4()), "eventType": kind, "payload": payload}))
    assert producer.flush(15) == 0
