"""What notification decides: whom to write to, and what becomes of a mail: a table. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import ClassVar
from uuid import UUID

import msgspec

from dovecote.events import Aggregate, Event
from ecom.contracts import AmountText, Currency, Email, OrderId, UserId, Word

ERROR_CHARS_MAX = 500


class OrderPlaced(Event, frozen=True):
    """What notification reads of a new order: whose it is and where to write."""

    EVENT: ClassVar[str] = "order.created.v1"

    order_id: OrderId
    user_id: UserId
    email: Email | None = None
    currency: Currency | None = None
    total_amount: AmountText | None = None

    def news(self) -> News:
        """The order itself as the first news of it."""
        return News(order_id=self.order_id, user_id=self.user_id, amount=self.total_amount, currency=self.currency)

    def recipient(self) -> Recipient:
        """Whom to write to about this order from now on."""
        return Recipient(self.user_id, self.email)


class News(Event, frozen=True):
    """What notification reads of any later event. Foreign payment events do not say whose order it is."""

    order_id: OrderId
    user_id: UserId | None = None
    reason: str | None = None
    amount: AmountText | None = None
    currency: Currency | None = None


class OrderConfirmed(News, frozen=True):
    """Paid and held: the order stands."""

    EVENT: ClassVar[str] = "order.confirmed.v1"


class OrderCancelled(News, frozen=True):
    """The order ended without a sale."""

    EVENT: ClassVar[str] = "order.cancelled.v1"

    reason: Word | None = None


class OrderTimedOut(News, frozen=True):
    """The order was still unanswered at its deadline."""

    EVENT: ClassVar[str] = "order.timed-out.v1"


class PaymentAuthorized(News, frozen=True):
    """The provider holds the amount."""

    EVENT: ClassVar[str] = "payment.authorized.v1"


class PaymentFailed(News, frozen=True):
    """The provider refused."""

    EVENT: ClassVar[str] = "payment.failed.v1"


class PaymentCaptured(News, frozen=True):
    """The held amount was taken."""

    EVENT: ClassVar[str] = "payment.captured.v1"


class PaymentRefunded(News, frozen=True):
    """A taken amount was given back."""

    EVENT: ClassVar[str] = "payment.refunded.v1"


class StockFailed(News, frozen=True):
    """The order holds no stock."""

    EVENT: ClassVar[str] = "inventory.reservation.failed.v1"


LATER: tuple[type[News], ...] = (
    OrderConfirmed,
    OrderCancelled,
    OrderTimedOut,
    PaymentAuthorized,
    PaymentFailed,
    PaymentCaptured,
    PaymentRefunded,
    StockFailed,
)


class Recipient(msgspec.Struct, frozen=True):
    """Who ordered."""

    user_id: int
    email: str | None

    @property
    def address(self) -> str:
        """The order's own address, else the one every user has."""
        return self.email or f"user{self.user_id}@example.local"


class Mail(msgspec.Struct, frozen=True):
    """A mail ready to go. The receiver knows a repeat by its event."""

    event_id: UUID
    to: str
    subject: str
    body: str

    @property
    def message_id(self) -> str:
        """The same at every try, so that a repeat after a crash can be told from a second mail."""
        return f"<{self.event_id}@notification.ecom.local>"


class Post(msgspec.Struct, frozen=True):
    """Mails that leave together: the body of a ``mail`` intent. All of them are sent again where one answer is lost."""

    mails: tuple[Mail, ...]


class Named(msgspec.Struct, frozen=True):
    """A mail whose text stands in its row only."""

    event_id: UUID


class Names(msgspec.Struct, frozen=True):
    """A post as far as the log must know it: texts written twice were a twentieth of PostgreSQL's work on an order."""

    mails: tuple[Named, ...]


class Status(StrEnum):
    """Where a notification stands."""

    PENDING = "PENDING"
    SENT = "SENT"
    FAILED = "FAILED"
    DEAD_LETTER = "DEAD_LETTER"


class Fact(Enum):
    """What a notification is told, by the mail server, by the clock and by operators."""

    TAKEN = "the server took the mail"
    REFUSED = "a try failed, and others are left"
    REFUSED_FOR_GOOD = "the last try failed"
    DUE = "the time of the next try has come"
    REQUEUED = "an operator wants it sent once more"


class Outcome(Enum):
    """What a fact does to a notification. The last two change nothing."""

    SEND = "it is out: SENT"
    WAIT = "it waits for its next try: FAILED"
    GIVE_UP = "it is given up, and operators hear it: DEAD_LETTER"
    TRY_AGAIN = "it is tried once more: PENDING"
    REVIVE = "it is tried once more, with new patience: PENDING"
    KNOWN = "this was so already, or is under way"
    TOO_LATE = "it has been decided otherwise meanwhile"


def _mails() -> Mapping[tuple[Status, Fact], Outcome]:
    """The whole machine, a row for each status; the columns stand in the order of Fact."""
    o = Outcome
    known, late = o.KNOWN, o.TOO_LATE
    # taken, refused, refused for good, due, requeued
    rows = {
        Status.PENDING: (o.SEND, o.WAIT, o.GIVE_UP, known, known),
        Status.SENT: (known, late, late, late, late),
        Status.FAILED: (o.SEND, known, known, o.TRY_AGAIN, late),
        Status.DEAD_LETTER: (late, known, known, late, o.REVIVE),
    }
    return {(status, fact): outcome for status, row in rows.items() for fact, outcome in zip(Fact, row, strict=True)}


MAILS = _mails()

LEADS_TO: Mapping[Outcome, Status] = {
    Outcome.SEND: Status.SENT,
    Outcome.WAIT: Status.FAILED,
    Outcome.GIVE_UP: Status.DEAD_LETTER,
    Outcome.TRY_AGAIN: Status.PENDING,
    Outcome.REVIVE: Status.PENDING,
}
"""Every other outcome leaves the notification as it is."""


def standing(outcome: Outcome) -> tuple[Status, ...]:
    """The statuses in which a fact has this outcome: what a statement that moves many at once may touch."""
    return tuple(status for status in Status if any(MAILS[status, fact] is outcome for fact in Fact))


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a mail is tried, and how long after a failed try comes the next."""

    tries_max: int
    first_delay: timedelta
    delay_max: timedelta = timedelta(hours=1)

    def delay(self, failures: int) -> timedelta:
        """Doubling from the first."""
        return min(self.first_delay * float(2 ** min(failures - 1, 20)), self.delay_max)


@dataclass(frozen=True, slots=True)
class Notification:
    """One mail about one event. ``tries`` counts the intents it was part of, ``sequence`` the events said about it."""

    event_id: UUID
    event_type: str
    user_id: int
    source_topic: str
    mail: Mail
    trace_id: str
    status: Status = Status.PENDING
    retry_count: int = 0
    tries: int = 1
    sequence: int = 0
    last_error: str | None = None
    next_attempt_at: datetime | None = None

    def aggregate(self, ahead: int = 0) -> Aggregate:
        """Whose event it is, counted from the row's sequence."""
        return Aggregate("notification", str(self.event_id), self.sequence + ahead)


def fail(notification: Notification, error: str, patience: Patience, now: datetime) -> Notification:
    """A try failed: it waits for the next one, or is given up and says two events (dlq and alert).

    A try whose notification is no longer PENDING was answered before and changes nothing.
    """
    failures = notification.retry_count + 1
    fact = Fact.REFUSED_FOR_GOOD if failures >= patience.tries_max else Fact.REFUSED
    outcome = MAILS[notification.status, fact]
    if outcome not in LEADS_TO:
        return notification
    dead = outcome is Outcome.GIVE_UP
    # The server's words like to quote the address; it has its own column and no place in logs.
    reason = error.replace(notification.mail.to, "<recipient>")[:ERROR_CHARS_MAX]
    return replace(
        notification,
        status=LEADS_TO[outcome],
        retry_count=failures,
        last_error=reason,
        next_attempt_at=None if dead else now + patience.delay(failures),
        sequence=notification.sequence + (2 if dead else 0),
    )
