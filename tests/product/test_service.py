"""The product service as it runs, whole on real PostgreSQL and Kafka."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from confluent_kafka import Consumer

from dovecote.contracts import Contracts
from dovecote.kafka import Admin
from dovecote.migrate import migrate
from dovecote.service import Service
from dovecote.testing import drained
from ecom.contracts import CONTRACTS
from ecom.product.service import build
from tests.product.stories import BODY, TRACE, door

UPSERTED, DELETED = "product.upserted.v1", "product.deleted.v1"


def test_where_it_listens_and_what_it_hears() -> None:
    """Port 8083 alone; it hears nothing, so it has no consumer group to fall behind."""
    blueprint = build({}).blueprint
    assert blueprint.settings.port == 8083
    assert blueprint.handlers.event_types == []
    assert blueprint.published(Contracts.load(CONTRACTS)) == [UPSERTED, DELETED]


async def test_a_product_arrives_on_kafka(empty_database_url: str, bootstrap: str, prefix: str) -> None:
    """Made, changed and deleted over HTTP, a product is heard of as events in that order under its id."""
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
        assert service.ready()
        assert await service.lag() == 0
        trace = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        async with door(service.database) as client:
            made = (await client.post("/api/products", json=BODY, headers=trace)).json()
            await client.put(f"/api/products/{made['id']}", json=BODY | {"price": 5}, headers=trace)
            await client.delete(f"/api/products/{made['id']}", headers=trace)
        await drained(service.database)
        upserted = await asyncio.to_thread(received, bootstrap, prefix + UPSERTED, 2)
        [deleted] = await asyncio.to_thread(received, bootstrap, prefix + DELETED, 1)
    finally:
        await service.stop()
        await Admin(bootstrap).delete_topics([*service.said, *service.heard])
    assert [each["key"] for each in [*upserted, deleted]] == [made["id"]] * 3
    assert [(each["payload"]["version"], each["payload"]["price"]) for each in upserted] == [(1, "4.99"), (2, "5")]
    assert deleted["payload"] == {"productId": made["id"], "version": 3}
    assert {each["traceId"] for each in [*upserted, deleted]} == {TRACE}
    assert {each["producer"] for each in [*upserted, deleted]} == {"product-service"}


def received(bootstrap: str, topic: str, count: int) -> list[dict[str, Any]]:
    """The first envelopes of a topic, as a client of no service of ours reads them, with their keys."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"{topic}-reader",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    try:
        consumer.subscribe([topic])
        messages = []
        for _ in range(200):
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                value, key = message.value(), message.key()
                assert value is not None
                assert key is not None
                messages.append(msgspec.json.decode(value) | {"key": key.decode()})
            if len(messages) == count:
                return messages
        raise AssertionError(f"{len(messages)} of {count} messages came from {topic}")
    finally:
        consumer.close()
