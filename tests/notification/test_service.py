"""The notification service as it runs: through its inbox, its settings, and whole on real Kafka and real SMTP."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import msgspec
import pytest
from confluent_kafka import Producer

from dovecote.contracts import Contracts
from dovecote.database import Database
from dovecote.errors import SettingsError
from dovecote.kafka import Admin
from dovecote.migrate import migrate
from dovecote.service import Service
from dovecote.sql import Sql
from dovecote.testing import Bench, eventually
from ecom.contracts import CONTRACTS
from ecom.notification.domain import OrderPlaced, PaymentFailed
from ecom.notification.service import build
from tests.notification.mailbox import Mailbox, serving
from tests.notification.stories import WAITING, notifications, statuses

DEAD = Sql("SELECT status FROM dead_letter ORDER BY id")


async def test_a_repeat_has_no_effect_and_poison_hurts_nobody(database: Database) -> None:
    """One event twice is one mail; an order without a user is a dead letter, a foreign payment event waits."""
    bench = Bench(build({}).blueprint, database)
    good = bench.message(OrderPlaced(order_id="o", user_id=7))
    nobody = msgspec.json.encode({"eventId": str(uuid4()), "eventType": good.topic, "payload": {"orderId": "n"}})
    await bench.deliver(good, bench.raw(good.topic, nobody), good)
    await bench.deliver(good, bench.message(PaymentFailed(order_id="of-another-shop")))
    assert len(await notifications(database)) == 1
    assert len(await database.fetch(WAITING)) == 1
    assert [row["status"] for row in await database.fetch(DEAD)] == ["DEAD"]


def test_settings_choose_the_provider() -> None:
    """`log` unless told otherwise; a provider nobody knows and a port that is no number are refused at start."""
    assert build({}).blueprint.workers[0].batch_max == 10
    assert build({"APP_NOTIFICATION_PROVIDER": "smtp"}).blueprint.workers[0].batch_max == 100
    with pytest.raises(SettingsError):
        build({"APP_NOTIFICATION_PROVIDER": "pigeon"})
    with pytest.raises(SettingsError):
        build({"APP_NOTIFICATION_PROVIDER": "smtp", "SPRING_MAIL_PORT": "x"})


async def test_from_kafka_to_the_mailbox(empty_database_url: str, bootstrap: str, prefix: str) -> None:
    """On real Kafka and SMTP: a payment before its order, then the order, as raw JSON: two mails arrive."""
    async with serving(Mailbox()) as mailbox:
        environ = {"APP_NOTIFICATION_PROVIDER": "smtp", "SPRING_MAIL_HOST": "127.0.0.1"}
        blueprint = build({**environ, "SPRING_MAIL_PORT": str(mailbox.port)}).blueprint
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
            facts = {"orderId": "o", "userId": 7, "email": "ann@example.org"}
            await asyncio.to_thread(send, bootstrap, prefix, "payment.authorized.v1", {"orderId": "o"})

            async def waits() -> bool:
                return len(await service.database.fetch(WAITING)) == 1

            await eventually(waits, seconds=30, what="the payment waits for its order")
            await asyncio.to_thread(send, bootstrap, prefix, "order.created.v1", facts)

            async def sent() -> bool:
                return await statuses(service.database) == {"SENT": 2}

            await eventually(sent, seconds=30, what="both mails are sent")
        finally:
            await service.stop()
            admin = Admin(bootstrap)
            await admin.delete_groups([service.group])
            await admin.delete_topics([*service.said, *service.heard])
    assert {mail["To"] for mail in mailbox.mails} == {"ann@example.org"}
    assert len(mailbox.mails) == 2


def send(bootstrap: str, prefix: str, event_type: str, payload: dict[str, object]) -> None:
    """Send one event as a foreign producer would."""
    value = msgspec.json.encode({"eventId": str(uuid4()), "eventType": event_type, "payload": payload})
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    producer.produce(prefix + event_type, value=value)
    assert producer.flush(20) == 0
