"""What an order is and how the saga decides: a table from (phase, happening) to an outcome, without I/O or clock."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import Enum, StrEnum
from typing import ClassVar

import msgspec
from msgspec.structs import replace

from dovecote.events import Event, Traced
from ecom.contracts import AmountText, Currency, Instant, OrderId, Word
from ecom.contracts.money import total_of
from ecom.contracts.order import OrderCancelled, OrderConfirmed, OrderCreated, OrderLine, OrderTimedOut

LINES_MAX = 500
TOTAL_MAX = Decimal(10) ** 12


class Status(StrEnum):
    """What a client sees; all but the first two are final for ever, CONFIRMED until something is lost or unwanted."""

    PAYMENT_PENDING = "PAYMENT_PENDING"
    CONFIRMED = "CONFIRMED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    CANCELLED = "CANCELLED"


class Phase(Enum):
    """Where the saga stands: a status, and while it is pending, who has answered."""

    WAITING = "nobody has answered"
    PAID = "payment is authorized, stock has not answered"
    HELD = "stock is held, payment has not answered"
    CONFIRMED = Status.CONFIRMED
    FAILED = Status.FAILED
    TIMED_OUT = Status.TIMED_OUT
    CANCELLED = Status.CANCELLED


class Happening(StrEnum):
    """What can happen to an order; the value is the reason kept where it ends the order."""

    AUTHORIZED = "AUTHORIZED"
    PAYMENT_DECLINED = "PAYMENT_DECLINED"
    CAPTURE_DECLINED = "CAPTURE_DECLINED"
    RESERVED = "RESERVED"
    OUT_OF_STOCK = "OUT_OF_STOCK"
    EXPIRED = "EXPIRED"
    CANCEL_ASKED = "CUSTOMER_CANCELLED"
    CONFIRM_ASKED = "CONFIRM_ASKED"
    DEADLINE_PASSED = "PAYMENT_TIMEOUT"


class Outcome(Enum):
    """What a happening does to an order."""

    NOTE_PAYMENT = "payment has answered, stock is awaited"
    NOTE_STOCK = "stock has answered, payment is awaited"
    CONFIRM = "both have answered: CONFIRMED"
    FAIL = "a participant refused: FAILED"
    TIME_OUT = "nobody may wait longer: TIMED_OUT"
    CANCEL = "the order is given up: CANCELLED"
    KNOWN = "this was so already"
    TOO_LATE = "the order has ended; its last event makes the others give back"
    CONTRADICTED = "payment said otherwise before; its first word stands"
    REFUSED = "this cannot be asked of the order now"


def _saga() -> dict[tuple[Phase, Happening], Outcome]:
    """The whole machine, a row for each phase; the columns stand in the order of Happening."""
    note_payment, note_stock, confirm = Outcome.NOTE_PAYMENT, Outcome.NOTE_STOCK, Outcome.CONFIRM
    fail, cancel, time_out = Outcome.FAIL, Outcome.CANCEL, Outcome.TIME_OUT
    known, late, against, refuse = Outcome.KNOWN, Outcome.TOO_LATE, Outcome.CONTRADICTED, Outcome.REFUSED
    ended = (late, late, late, late, late, late, refuse, refuse, late)
    # authorized, declined, capture declined, reserved, out of stock, expired, cancel, confirm, deadline
    rows = {
        Phase.WAITING: (note_payment, fail, fail, note_stock, fail, fail, cancel, refuse, time_out),
        Phase.PAID: (known, against, fail, confirm, fail, fail, cancel, refuse, time_out),
        Phase.HELD: (confirm, fail, fail, known, fail, fail, cancel, refuse, time_out),
        Phase.CONFIRMED: (known, against, cancel, known, cancel, cancel, cancel, known, late),
        Phase.FAILED: ended,
        Phase.TIMED_OUT: ended,
        Phase.CANCELLED: ended,
    }
    return {
        (phase, happening): outcome
        for phase, row in rows.items()
        for happening, outcome in zip(Happening, row, strict=True)
    }


SAGA = _saga()

LEADS_TO: dict[Outcome, Phase] = {
    Outcome.NOTE_PAYMENT: Phase.PAID,
    Outcome.NOTE_STOCK: Phase.HELD,
    Outcome.CONFIRM: Phase.CONFIRMED,
    Outcome.FAIL: Phase.FAILED,
    Outcome.TIME_OUT: Phase.TIMED_OUT,
    Outcome.CANCEL: Phase.CANCELLED,
}

# A status that an order may take, and the event that says so: the audit reads both.
PUBLISHES: dict[Status, str] = {
    Status.PAYMENT_PENDING: OrderCreated.EVENT,
    Status.CONFIRMED: OrderConfirmed.EVENT,
    Status.FAILED: OrderCancelled.EVENT,
    Status.TIMED_OUT: OrderTimedOut.EVENT,
    Status.CANCELLED: OrderCancelled.EVENT,
}
ALLOWED = frozenset(
    {
        *((Status.PAYMENT_PENDING, to) for to in Status if to is not Status.PAYMENT_PENDING),
        (Status.CONFIRMED, Status.CANCELLED),
    }
)


class Standing(msgspec.Struct, frozen=True):
    """The part of an order that the saga reads and writes; ``sequence`` counts the order's events.

    It is Traced itself: what nobody else causes (a deadline) belongs to the story that placed the order.
    """

    id: str
    user_id: int
    status: Status
    reason: str | None
    paid: bool
    held: bool
    sequence: int
    trace_id: str

    @property
    def phase(self) -> Phase:
        """Where the saga stands with this order."""
        if self.status is not Status.PAYMENT_PENDING:
            return Phase(self.status)
        return Phase.PAID if self.paid else Phase.HELD if self.held else Phase.WAITING


class Move(msgspec.Struct, frozen=True):
    """One decision: the order before and after, and the event that tells of it, where one does."""

    before: Standing
    after: Standing
    outcome: Outcome
    event: Event | None = None


def decide(order: Standing, happening: Happening, now: datetime) -> Move:
    """What a happening makes of an order."""
    outcome = SAGA[order.phase, happening]
    match outcome:
        case Outcome.NOTE_PAYMENT:
            return Move(order, replace(order, paid=True), outcome)
        case Outcome.NOTE_STOCK:
            return Move(order, replace(order, held=True), outcome)
        case Outcome.CONFIRM:
            after = replace(order, status=Status.CONFIRMED, paid=True, held=True, sequence=order.sequence + 1)
            return Move(
                order,
                after,
                outcome,
                OrderConfirmed(order_id=order.id, user_id=order.user_id, confirmed_at=now),
            )
        case Outcome.FAIL:
            return _ended(order, Status.FAILED, happening, outcome, now)
        case Outcome.CANCEL:
            return _ended(order, Status.CANCELLED, happening, outcome, now)
        case Outcome.TIME_OUT:
            return _ended(order, Status.TIMED_OUT, happening, outcome, now)
        case Outcome.KNOWN | Outcome.TOO_LATE | Outcome.CONTRADICTED | Outcome.REFUSED:
            return Move(order, order, outcome)


def _ended(order: Standing, status: Status, happening: Happening, outcome: Outcome, now: datetime) -> Move:
    """The order ends; the event makes payment and inventory give back what they hold."""
    reason = happening.value
    after = replace(order, status=status, reason=reason, sequence=order.sequence + 1)
    event: Event
    if status is Status.TIMED_OUT:
        event = OrderTimedOut(order_id=order.id, user_id=order.user_id, status=status.value, timed_out_at=now)
    else:
        event = OrderCancelled(order_id=order.id, user_id=order.user_id, reason=reason, cancelled_at=now)
    return Move(order, after, outcome, event)


class NewOrder(msgspec.Struct, frozen=True):
    """An order as a customer places it; ``because`` is the request that asked for it."""

    user_id: int
    currency: str
    items: tuple[OrderLine, ...]
    because: Traced
    email: str | None = None
    payment_method: str | None = None


class Order(msgspec.Struct, frozen=True):
    """An order as a customer sees it."""

    id: str
    user_id: int
    currency: str
    status: Status
    reason: str | None
    total_amount: Decimal
    items: tuple[OrderLine, ...]
    created_at: datetime
    updated_at: datetime

    def as_placed(self) -> Order:
        """The order as the answer to its placing showed it: that answer is repeated word for word."""
        return replace(self, status=Status.PAYMENT_PENDING, reason=None, updated_at=self.created_at)


def placed(new: NewOrder, order_id: str, now: datetime) -> tuple[Order, OrderCreated]:
    """The order that a placing makes, and its first event."""
    total = total_of((line.unit_price, line.quantity) for line in new.items)
    order = Order(order_id, new.user_id, new.currency, Status.PAYMENT_PENDING, None, total, new.items, now, now)
    event = OrderCreated(
        order_id=order_id,
        user_id=new.user_id,
        currency=new.currency,
        status="CREATED",
        items=new.items,
        created_at=now,
        total_amount=total,
        email=new.email,
        payment_method=new.payment_method,
    )
    return order, event


class PaymentWasAuthorized(Event, frozen=True):
    """What this service reads of payment.authorized.v1."""

    EVENT: ClassVar[str] = "payment.authorized.v1"

    order_id: OrderId


class PaymentHasFailed(Event, frozen=True):
    """What this service reads of payment.failed.v1."""

    EVENT: ClassVar[str] = "payment.failed.v1"

    order_id: OrderId
    reason: str | None = None


class StockWasReserved(Event, frozen=True):
    """What this service reads of inventory.reserved.v1."""

    EVENT: ClassVar[str] = "inventory.reserved.v1"

    order_id: OrderId


class StockIsLacking(Event, frozen=True):
    """What this service reads of inventory.reservation.failed.v1."""

    EVENT: ClassVar[str] = "inventory.reservation.failed.v1"

    order_id: OrderId
    reason: str | None = None


class MoneyMoved(Event, frozen=True):
    """What this service reads of an order's settled money."""

    order_id: OrderId
    payment_id: Word
    amount: AmountText
    currency: Currency
    occurred_at: Instant
    reason: str | None = None


class MoneyTaken(MoneyMoved, frozen=True):
    """The held amount was taken."""

    EVENT: ClassVar[str] = "payment.captured.v1"


class MoneyReturned(MoneyMoved, frozen=True):
    """A taken amount was given back."""

    EVENT: ClassVar[str] = "payment.refunded.v1"
