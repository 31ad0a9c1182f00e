"""The payment service put together: settings by file and environment, and its whole life on real servers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from confluent_kafka import Producer

from dovecote.contracts import Contracts
from dovecote.errors import SettingsError
from dovecote.kafka import Admin
from dovecote.migrate import migrate
from dovecote.service import Service
from dovecote.sql import Sql
from dovecote.testing import Bench, eventually
from ecom.contracts import CONTRACTS
from ecom.payment.domain import Mode
from ecom.payment.service import build
from tests.payment.stories import PaymentDesk, held_minor, new_order_id
from tests.provider.processes import ProviderProcess

DEAD = Sql("SELECT status, error FROM dead_letter ORDER BY id")
STAGES = Sql("SELECT stage FROM payment WHERE order_id = ANY($1::text[])")
SENT = Sql("SELECT count(*) FROM outbox_event_record WHERE status = 'SENT'")


def test_defaults() -> None:
    """The wire contract's defaults."""
    own = build({}).blueprint.app.payment  # type: ignore[attr-defined]
    assert own.webhook_secret == "dev-webhook-secret"
    assert own.capture == "on-confirmed"
    assert (own.provider.max_attempts, own.provider.failure_rate, own.provider.outage_mode) == (3, 0.0, False)
    assert own.provider.timeout == timedelta(seconds=2)
    assert build({}).blueprint.settings.port == 8087


def test_environment() -> None:
    """The environment wins, by either name of the provider's address."""
    environ = {
        "PAYMENT_WEBHOOK_SECRET": "s3cret",
        "ECOM_PROVIDER_URL": "http://127.0.0.1:1",
        "APP_PAYMENT_PROVIDER_MODE": "webhook",
        "PAYMENT__APP_PAYMENT_CAPTURE": "on-authorization",
        "APP_PAYMENT_PROVIDER_MAXATTEMPTS": "5",
    }
    own = build(environ).blueprint.app.payment  # type: ignore[attr-defined]
    assert own.webhook_secret == "s3cret"
    assert Mode(own.provider.mode) is Mode.WEBHOOK
    assert own.capture == "on-authorization"
    assert (own.provider.url, own.provider.max_attempts) == ("http://127.0.0.1:1", 5)
    other = build({"APP_PAYMENT_PROVIDER_URL": "http://127.0.0.1:2"}).blueprint.app.payment  # type: ignore[attr-defined]
    assert other.provider.url == "http://127.0.0.1:2"


@pytest.mark.parametrize(
    "environ",
    [
        {"APP_PAYMENT_PROVIDER_MODE": "manual"},
        {"APP_PAYMENT_CAPTURE": "never"},
        {"APP_PAYMENT_PROVIDER_FAILURERATE": "1.5"},
        {"APP_PAYMENT_PROVIDER_MAXATTEMPTS": "0"},
        {"PAYMENT_WEBHOOK_SECRET": ""},
    ],
)
def test_wrong_settings_are_refused(environ: dict[str, str]) -> None:
    """A wrong value is an error before anything starts; an empty webhook secret would sign for anybody."""
    with pytest.raises(SettingsError):
        build(environ)


def test_says_and_hears_what_the_registry_lets_it() -> None:
    """Every event it handles names it as a consumer, every event it may say is its own."""
    contracts = Contracts.load(CONTRACTS)
    blueprint = build({}).blueprint
    for name in blueprint.handlers.event_types:
        assert blueprint.name in contracts.entry(name).consumers
    assert set(blueprint.published(contracts)) == {
        *("payment.authorized.v1", "payment.failed.v1", "payment.captured.v1", "payment.refunded.v1"),
    }


def raw(event_type: str, payload: dict[str, Any], event_id: str | None = None) -> bytes:
    """An envelope with no more than a reader needs."""
    return msgspec.json.encode({"eventId": event_id or str(uuid4()), "eventType": event_type, "payload": payload})


def created(order_id: str, **changes: object) -> dict[str, Any]:
    """The original's order: lines and no total, prices as it writes them."""
    item = {"productId": "p", "sku": "p", "quantity": 2, "unitPrice": "6.25"}
    return {"orderId": order_id, "userId": 7, "currency": "USD", "status": "CREATED", "items": [item], **changes}


async def test_a_repeat_has_no_effect_and_poison_hurts_nobody(desk: PaymentDesk) -> None:
    """One event twice is one payment; orders that cannot be charged are dead letters, their neighbours are charged."""
    bench = Bench(build({}).blueprint, desk.database)
    good, neighbour = new_order_id(), new_order_id()
    first = raw("order.created.v1", created(good))
    poison = [
        raw("order.created.v1", {"orderId": new_order_id(), "items": [{"sku": "p", "quantity": 1}]}),
        raw("order.created.v1", created(new_order_id(), currency="X1X")),
        raw("order.created.v1", created(new_order_id(), totalAmount="-5.00")),
        raw("order.created.v1", created(new_order_id(), totalAmount="1e40")),
        raw("order.created.v1", created(new_order_id(), totalAmount="1" + "0" * 40)),
        raw("order.created.v1", created("o" * 51)),
        b"not json",
        None,
    ]
    values = [first, *poison, first, raw("order.created.v1", created(neighbour))]
    await bench.deliver(*(bench.raw("order.created.v1", value) for value in values))
    await bench.deliver(bench.raw("order.created.v1", first))
    await desk.settle()
    assert [desk.book(order_id) for order_id in (good, neighbour)] == [["authorize"], ["authorize"]]
    assert desk.held_minor(good) == 1250
    assert len(await bench.published()) == 2
    statuses = sorted(row["status"] for row in await desk.database.fetch(DEAD))
    assert len(statuses) == len(poison)
    assert set(statuses) == {"DEAD", "PARKED"}


async def test_on_kafka(empty_database_url: str, bootstrap: str, prefix: str, provider: ProviderProcess) -> None:
    """The whole service on a real broker: raw JSON comes in, money is held, taken and let go, events go out."""
    blueprint = build({"ECOM_PROVIDER_URL": provider.url}).blueprint
    schema = prefix + blueprint.schema
    await asyncio.to_thread(migrate, empty_database_url, schema=schema, folders=[blueprint.migrations])
    service = Service(
        blueprint,
        database_url=empty_database_url,
        bootstrap=bootstrap,
        contracts=Contracts.load(CONTRACTS),
        prefix=prefix,
    )
    await service.start()
    orders = [new_order_id() for _ in range(30)]
    producer = Producer({"bootstrap.servers": bootstrap})

    def tell(event_type: str, payloads: Iterable[dict[str, Any]]) -> None:
        for payload in payloads:
            producer.produce(prefix + event_type, raw(event_type, payload), key=payload["orderId"])
        producer.flush(10)

    async def at(stage: str, order_ids: list[str]) -> bool:
        rows = await service.database.fetch(STAGES, order_ids)
        return [row["stage"] for row in rows] == [stage] * len(order_ids)

    async def sent() -> bool:
        return bool(await service.database.fetchval(SENT) == 30 + 15 + 15)

    try:
        tell("order.created.v1", (created(order_id) for order_id in orders))
        await eventually(lambda: at("AUTHORIZED", orders), what="all are authorized")
        tell("order.confirmed.v1", ({"orderId": order_id} for order_id in orders[:15]))
        await eventually(lambda: at("CAPTURED", orders[:15]), what="half are captured")
        tell("order.cancelled.v1", ({"orderId": order_id, "reason": "CUSTOMER_CANCELLED"} for order_id in orders))
        await eventually(lambda: at("REFUNDED", orders[:15]), what="the captured are refunded")
        await eventually(lambda: at("VOIDED", orders[15:]), what="the others are voided")
        await eventually(sent, what="every event is sent")
    finally:
        await service.stop()
        admin = Admin(bootstrap)
        await admin.delete_groups([service.group])
        await admin.delete_topics([*service.said, *service.heard])
    assert {order_id: held_minor(provider, order_id) for order_id in orders} == dict.fromkeys(orders, 0)
