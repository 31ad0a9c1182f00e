"""The stages of a payment: a table from (stage, fact) to a step, and nothing else.

Capture and void exclude each other because no row of the table asks for one while the other may still happen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum

from ecom.contracts.payment import PaymentAuthorized, PaymentCaptured, PaymentFailed, PaymentRefunded
from ecom.provider.interface import Operation


class Stage(StrEnum):
    """Where a payment stands. The stages that end in -ING wait for the provider's word on one operation."""

    WAITING = "WAITING"  # known by an intent only; its order has not come
    AUTHORIZING = "AUTHORIZING"
    AUTHORIZING_ENDED = "AUTHORIZING_ENDED"  # the order is over; a success must be voided
    AUTHORIZED = "AUTHORIZED"
    CAPTURING = "CAPTURING"
    CAPTURING_ENDED = "CAPTURING_ENDED"  # the order is over; a success must be refunded
    CAPTURED = "CAPTURED"
    VOIDING = "VOIDING"
    VOIDED = "VOIDED"
    REFUNDING = "REFUNDING"
    REFUNDED = "REFUNDED"
    DECLINED = "DECLINED"
    ENDED = "ENDED"  # the order was over before anything was asked: also the tombstone of an order not yet heard of


class Status(StrEnum):
    """What clients see."""

    PENDING = "PENDING"
    AUTHORIZED = "AUTHORIZED"
    FAILED = "FAILED"


class Settlement(StrEnum):
    """What became of the money; UNKNOWN while the provider owes an answer that it did not give when asked."""

    NONE = "NONE"
    UNKNOWN = "UNKNOWN"
    CAPTURED = "CAPTURED"
    VOIDED = "VOIDED"
    REFUNDED = "REFUNDED"


class Fact(Enum):
    """What a payment is told: by its order, or by the provider, whose silence is a fact too."""

    CLAIMED = "a client asked for it over HTTP"
    ORDERED = "the order was placed"
    CONFIRMED = "the order is confirmed"
    ENDED = "the order is over"
    AUTHORIZED = "the provider holds the amount"
    DECLINED = "the provider refused to hold it"
    CAPTURED = "the provider took it"
    CAPTURE_DECLINED = "the provider refused to take it"
    VOIDED = "the provider holds it no longer"
    VOID_TOO_LATE = "the provider had taken it before it was asked to let go"
    REFUNDED = "the provider gave it back"
    UNANSWERED = "the provider was asked and gave no answer"


class Say(Enum):
    """Which event a step publishes."""

    AUTHORIZED = PaymentAuthorized
    FAILED = PaymentFailed
    CAPTURED = PaymentCaptured
    REFUNDED = PaymentRefunded


@dataclass(frozen=True, slots=True)
class Step:
    """Where a fact leads, what is asked of the provider next, what the world hears, what clients see."""

    to: Stage
    ask: Operation | None = None
    say: Say | None = None
    status: Status | None = None


_authorize = Step(Stage.AUTHORIZING, ask=Operation.AUTHORIZE)
_void_unseen = Step(Stage.VOIDING, ask=Operation.VOID, status=Status.FAILED)
_refund = Step(Stage.REFUNDING, ask=Operation.REFUND)

STEPS: Mapping[tuple[Stage, Fact], Step] = {
    (Stage.WAITING, Fact.ORDERED): _authorize,
    (Stage.WAITING, Fact.ENDED): Step(Stage.ENDED, status=Status.FAILED),
    (Stage.AUTHORIZING, Fact.AUTHORIZED): Step(Stage.AUTHORIZED, say=Say.AUTHORIZED, status=Status.AUTHORIZED),
    (Stage.AUTHORIZING, Fact.DECLINED): Step(Stage.DECLINED, say=Say.FAILED, status=Status.FAILED),
    (Stage.AUTHORIZING, Fact.ENDED): Step(Stage.AUTHORIZING_ENDED),
    # a late success is voided and never announced; a late refusal changes nothing for anyone
    (Stage.AUTHORIZING_ENDED, Fact.AUTHORIZED): _void_unseen,
    (Stage.AUTHORIZING_ENDED, Fact.DECLINED): Step(Stage.DECLINED, status=Status.FAILED),
    (Stage.AUTHORIZED, Fact.CONFIRMED): Step(Stage.CAPTURING, ask=Operation.CAPTURE),
    (Stage.AUTHORIZED, Fact.ENDED): Step(Stage.VOIDING, ask=Operation.VOID),
    (Stage.CAPTURING, Fact.CAPTURED): Step(Stage.CAPTURED, say=Say.CAPTURED),
    # the card still holds the amount: nothing live may remain
    (Stage.CAPTURING, Fact.CAPTURE_DECLINED): Step(
        Stage.VOIDING, ask=Operation.VOID, say=Say.FAILED, status=Status.FAILED
    ),
    (Stage.CAPTURING, Fact.ENDED): Step(Stage.CAPTURING_ENDED),
    (Stage.CAPTURING_ENDED, Fact.CAPTURED): Step(Stage.REFUNDING, ask=Operation.REFUND, say=Say.CAPTURED),
    (Stage.CAPTURING_ENDED, Fact.CAPTURE_DECLINED): Step(Stage.VOIDING, ask=Operation.VOID),
    (Stage.CAPTURED, Fact.ENDED): _refund,
    (Stage.VOIDING, Fact.VOIDED): Step(Stage.VOIDED),
    (Stage.VOIDING, Fact.VOID_TOO_LATE): _refund,
    (Stage.REFUNDING, Fact.REFUNDED): Step(Stage.REFUNDED, say=Say.REFUNDED),
    # a webhook may speak for a payment that is over: whatever it holds is let go
    (Stage.DECLINED, Fact.AUTHORIZED): _void_unseen,
    (Stage.ENDED, Fact.AUTHORIZED): _void_unseen,
}
"""Every pair that is not here leaves the payment as it is: a repetition, or news about something that is
over.
"""

IMPOSSIBLE = frozenset({(Stage.WAITING, Fact.CONFIRMED), (Stage.AUTHORIZING, Fact.CONFIRMED)})
"""An order is confirmed only after its payment is authorized; an event that says otherwise is set aside."""

IN_HAND: Mapping[Stage, Operation] = {
    Stage.AUTHORIZING: Operation.AUTHORIZE,
    Stage.AUTHORIZING_ENDED: Operation.AUTHORIZE,
    Stage.CAPTURING: Operation.CAPTURE,
    Stage.CAPTURING_ENDED: Operation.CAPTURE,
    Stage.VOIDING: Operation.VOID,
    Stage.REFUNDING: Operation.REFUND,
}
SETTLED: Mapping[Stage, Settlement] = {
    Stage.CAPTURED: Settlement.CAPTURED,
    Stage.REFUNDING: Settlement.CAPTURED,
    Stage.VOIDED: Settlement.VOIDED,
    Stage.REFUNDED: Settlement.REFUNDED,
}
