"""What the original writes, byte for byte, is heard by every consumer that the registry names, and has its effect."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from dovecote import envelope
from dovecote.contracts import Contracts
from dovecote.contracts.code import Code
from dovecote.database import Database, Voice
from dovecote.sql import Sql
from dovecote.testing import Bench
from ecom.contracts import CONTRACTS
from ecom.shop import Shop
from tests.contracts.wire.files import THEIRS, Value
from tests.contracts.wire.rules import PAYLOADS

LETTERS = Sql("SELECT error FROM dead_letter")
FACT = Sql("SELECT order_id, event_type, producer FROM foreign_fact WHERE event_id = $1")
PAYMENT = Sql("SELECT stage, user_id, amount_minor, currency FROM payment WHERE order_id = $1")
HOLD = Sql("SELECT state, paid FROM order_hold WHERE order_id = $1")
NEWS = Sql("SELECT order_id, event_type FROM waiting_news WHERE event_id = $1")
MAIL = Sql("SELECT user_id, recipient_email FROM notification WHERE event_id = $1")
PRICE = Sql("SELECT price, active, deleted FROM price WHERE product_id = $1")
FOUND = Sql("SELECT deleted, hit FROM document WHERE product_id = $1")

# The original's own events: it writes none of the others.
WRITTEN_BY_THE_ORIGINAL = PAYLOADS.keys() - {
    "order.confirmed.v1",
    "order.cancelled.v1",
    "payment.captured.v1",
    "payment.refunded.v1",
}
PAYMENTS = {
    "java": {"stage": "AUTHORIZING", "user_id": 9007199254740993, "amount_minor": 149902, "currency": "INR"},
    "escaped": {"stage": "AUTHORIZING", "user_id": 2**63 - 1, "amount_minor": 3980, "currency": "EUR"},
}
PRODUCTS = {
    "number": ("Running Shoe №7", Decimal(1499), True),
    "text": ("Müsli 🍵 1/2 kg", Decimal("12.50"), True),
    "whole": ("Stool", Decimal(25), False),
}


@pytest.fixture(scope="module")
def contracts() -> Contracts:
    """The contracts as services load them."""
    return Contracts.load(CONTRACTS)


@asynccontextmanager
async def opened(service: str, url: str, contracts: Contracts) -> AsyncIterator[Bench]:
    """A service's handlers on its migrated schema."""
    name = service.removesuffix("-service")
    blueprint = Shop.of([name], {}).built[name].blueprint
    voice = Voice(blueprint.name, contracts, {})
    database = await Database.connect(url, schema=blueprint.schema, voice=voice)
    try:
        yield Bench(blueprint, database)
    finally:
        await database.close()


def test_every_event_of_the_original_is_here() -> None:
    """No event is left out, and the originals' ways of writing are all among them."""
    assert {value.event_type for value in THEIRS} == WRITTEN_BY_THE_ORIGINAL
    everything = b"\n".join(value.bytes for value in THEIRS)
    for way in (
        b"\\u",
        b"\\ud83c\\udf75",
        "东京".encode(),
        b"\\/",
        b'"reason":null',
        b"123456789Z",
        b"9223372036854775807",
    ):
        assert way in everything, way
    assert all(not value.bytes.endswith(b"\n") for value in THEIRS)


@pytest.mark.parametrize("value", THEIRS, ids=str)
async def test_theirs_is_heard_by_everyone(
    value: Value, contracts: Contracts, code: Code, module_database_url: str
) -> None:
    """Through real handlers, on real PostgreSQL, without key or headers: no dead letter, and the effect is there."""
    consumers = contracts.entry(value.event_type).consumers
    assert set(consumers) == set(code.listeners(value.event_type))
    for service in consumers:
        async with opened(service, module_database_url, contracts) as bench:
            await bench.deliver(bench.raw(value.event_type, value.bytes))
            assert [row["error"] for row in await bench.database.fetch(LETTERS)] == []
            assert await effect(bench.database, service, value) == expected(service, value)


@pytest.mark.parametrize("value", THEIRS, ids=str)
def test_theirs_is_legal_and_read_through_the_writers_struct(value: Value, contracts: Contracts, code: Code) -> None:
    """What the schema allows, our own Struct of the event reads, also where no service of ours listens."""
    event = envelope.decode(value.bytes)
    (struct,) = [each for structs in code.writers.values() for each in structs if value.event_type == each.EVENT]
    assert contracts._validators[value.event_type].is_valid(json.loads(value.bytes)["payload"])
    msgspec.json.decode(event.payload, type=struct)


async def effect(database: Database, service: str, value: Value) -> dict[str, Any] | None:
    """What a service has made of an event."""
    event = json.loads(value.bytes)
    subject = event["payload"].get("orderId") or event["payload"].get("productId")
    event_id = envelope.decode(value.bytes).event_id
    match service, value.event_type.split(".")[0]:
        case "order-service", "product":
            question, about = PRICE, subject
        case "order-service", _:
            question, about = FACT, event_id
        case "notification-service", _:
            question, about = (MAIL if value.event_type == "order.created.v1" else NEWS), event_id
        case "payment-service", _:
            question, about = PAYMENT, subject
        case "inventory-service", _:
            question, about = HOLD, subject
        case _:
            question, about = FOUND, subject
    row = await database.fetchrow(question, about)
    if row is None or question is not FOUND:
        return None if row is None else dict(row)
    hit = json.loads(row["hit"] or "{}", parse_float=Decimal)
    return {"deleted": row["deleted"], **{name: hit.get(name) for name in ("name", "price", "active")}}


def expected(service: str, value: Value) -> Mapping[str, Any]:
    """What the wire contract says that a service makes of an event."""
    event = json.loads(value.bytes)
    payload, kind = event["payload"], value.event_type
    match service, kind:
        case "payment-service", "order.created.v1":
            return PAYMENTS[value.name]
        case "payment-service", _:
            return {"stage": "ENDED", "user_id": None, "amount_minor": None, "currency": None}
        case "inventory-service", "order.created.v1":
            return {"state": "REFUSED", "paid": False}  # nothing is on the shelf
        case "inventory-service", "payment.authorized.v1":
            return {"state": "AWAITED", "paid": True}
        case "inventory-service", _:
            return {"state": "ENDED", "paid": False}
        case "notification-service", "order.created.v1":
            return {"user_id": payload["userId"], "recipient_email": f"user{payload['userId']}@example.local"}
        case "notification-service", _:
            return {"order_id": payload["orderId"], "event_type": kind}
        case "order-service", "product.deleted.v1":
            return {"price": None, "active": False, "deleted": True}
        case "order-service", "product.upserted.v1":
            _, price, is_active = PRODUCTS[value.name]
            return {"price": price, "active": is_active, "deleted": False}
        case "order-service", _:
            return {"order_id": payload["orderId"], "event_type": kind, "producer": event["producer"]}
        case _:
            return found(value)


def found(value: Value) -> Mapping[str, Any]:
    """The document that search keeps."""
    if value.event_type == "product.deleted.v1":
        return {"deleted": True, "name": None, "price": None, "active": None}
    name, price, is_active = PRODUCTS[value.name]
    return {"deleted": False, "name": name, "price": price, "active": is_active}
