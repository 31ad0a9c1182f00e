"""Payloads against their schemas: what ours write is valid, what the original writes is readable."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest

from dovecote.contracts import Contracts
from dovecote.errors import ContractError
from dovecote.events import Event
from ecom.contracts import CONTRACTS
from ecom.contracts.inventory import InventoryReservationFailed, InventoryReserved
from ecom.contracts.notification import NotificationAlert, NotificationDeadLetter, NotificationDlq
from ecom.contracts.order import OrderCancelled, OrderConfirmed, OrderCreated, OrderLine, OrderTimedOut
from ecom.contracts.payment import PaymentAuthorized, PaymentCaptured, PaymentFailed, PaymentRefunded
from ecom.contracts.product import ProductDeleted, ProductUpserted

NOW = datetime(2026, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)
LINE = OrderLine(product_id="P1", sku="S1", quantity=2, unit_price=Decimal("12.50"))
PAYMENT: dict[str, Any] = {"order_id": "o", "payment_id": "pay_1", "occurred_at": NOW}
MONEY: dict[str, Any] = {**PAYMENT, "amount": Decimal("25.00"), "currency": "EUR"}
LETTER: dict[str, Any] = {
    "event_id": UUID(int=1),
    "event_type": "order.created.v1",
    "recipient_email": "a@b.example",
    "reason": None,
    "retries": 3,
    "source_topic": "order.created.v1",
}
CREATED = OrderCreated(order_id="o", user_id=7, currency="EUR", status="CREATED", items=(LINE,), created_at=NOW)
EVENTS: list[Event] = [
    CREATED,
    msgspec.structs.replace(CREATED, total_amount=Decimal("25.00"), email="a@b.example", payment_method="card"),
    OrderConfirmed(order_id="o", user_id=7, confirmed_at=NOW),
    OrderCancelled(order_id="o", user_id=7, reason="EXPIRED", cancelled_at=NOW),
    OrderTimedOut(order_id="o", user_id=7, status="TIMED_OUT", timed_out_at=NOW),
    PaymentAuthorized(**MONEY, provider_payment_id="x", status="AUTHORIZED", user_id=7),
    PaymentFailed(**PAYMENT, provider_payment_id="x", status="FAILED", reason="declined"),
    PaymentCaptured(**MONEY),
    PaymentRefunded(**MONEY, reason="EXPIRED"),
    InventoryReserved(order_id="o", emitted_at=NOW),
    InventoryReservationFailed(order_id="o", emitted_at=NOW),
    InventoryReservationFailed(order_id="o", emitted_at=NOW, reason="OUT_OF_STOCK"),
    ProductUpserted(product_id="P1", name="Milk", price=Decimal("1.09"), colors=("white",), active=True, version=3),
    ProductDeleted(product_id="P1"),
    NotificationDlq(**LETTER, user_id=7, subject="s", body="b"),
    NotificationDeadLetter(**LETTER),
    NotificationAlert(
        severity="HIGH",
        alert_type="NOTIFICATION_DEAD_LETTER",
        event_id=UUID(int=1),
        event_type="order.created.v1",
        reason=None,
        retries=3,
        created_at=NOW,
    ),
]


@pytest.fixture(scope="module")
def contracts() -> Contracts:
    """The contracts as services load them."""
    return Contracts.load(CONTRACTS)


def test_every_event_has_an_example(contracts: Contracts) -> None:
    """No event is left out below."""
    assert {event.EVENT for event in EVENTS} == set(contracts)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_what_we_write_is_valid_and_reads_back(contracts: Contracts, event: Event) -> None:
    """A full and a lean payload of each event pass their schema and survive the wire."""
    contracts.encode(event)
    assert msgspec.json.decode(msgspec.json.encode(event), type=type(event)) == event


BROKEN: list[tuple[Event, str]] = [
    (msgspec.structs.replace(CREATED, order_id="o" * 51), "/orderId"),
    (msgspec.structs.replace(CREATED, order_id=""), "/orderId"),
    (msgspec.structs.replace(CREATED, items=()), "/items"),
    (msgspec.structs.replace(CREATED, currency="EURO"), "/currency"),
    (msgspec.structs.replace(CREATED, items=(msgspec.structs.replace(LINE, quantity=0),)), "/items/0/quantity"),
    (msgspec.structs.replace(CREATED, items=(msgspec.structs.replace(LINE, quantity=2**31),)), "/items/0/quantity"),
    (msgspec.structs.replace(CREATED, items=(msgspec.structs.replace(LINE, sku="s" * 101),)), "/items/0/sku"),
    (
        msgspec.structs.replace(CREATED, items=(msgspec.structs.replace(LINE, unit_price=Decimal("1E+2")),)),
        "/items/0/unitPrice",
    ),
    (msgspec.structs.replace(CREATED, total_amount=Decimal("NaN")), "/totalAmount"),
    (PaymentAuthorized(**MONEY, provider_payment_id="", status="AUTHORIZED"), "/providerPaymentId"),
    (PaymentAuthorized(**MONEY, provider_payment_id="x" * 81, status="AUTHORIZED"), "/providerPaymentId"),
    (PaymentFailed(**PAYMENT, provider_payment_id="x", status="AUTHORIZED"), "/status"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("event", "pointer"), BROKEN)
def test_a_writer_keeps_its_schema(contracts: Contracts, event: Event, pointer: str) -> None:
    """A payload beyond the sizes and forms of the contract is refused before it can leave."""
    with pytest.raises(ContractError, match=f"breaks its schema at {pointer}"):
        contracts.encode(event)


def test_the_original_is_read() -> None:
    """Unknown fields, nulls where it writes them, instants in nanoseconds and prices as numbers are all legal."""
    failed = msgspec.json.decode(
        b'{"orderId":"o","paymentId":"p","providerPaymentId":"x","status":"FAILED","reason":null,'
        b'"occurredAt":"2026-02-03T04:05:06.123456789Z","gateway":"razorpay"}',
        type=PaymentFailed,
    )
    assert failed.reason is None
    assert failed.occurred_at.microsecond == 123457
    product = msgspec.json.decode(b'{"productId":"P1","name":"Milk","price":1.09,"brand":null}', type=ProductUpserted)
    assert product.price == Decimal("1.09")
