"""The stages of a payment: a table from (stage, fact) to an outcome, one from outcome to step, and nothing else.

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
    """What a payment is told: by clients and its order, then by the provider, whose silence is a fact too."""

    CLAIMED = "a client asked for it over HTTP"
    ORDERED = "the order was placed"
    ORDERED_OTHERWISE = "the order was placed before, with another amount or currency"
    CONFIRMED = "the order is confirmed"
    ENDED = "the order is over"
    AUTHORIZED = "the provider holds the amount"
    DECLINED = "the provider refused to hold it, or holds it no longer when first looked up"
    CAPTURED = "the provider took it"
    CAPTURE_DECLINED = "the provider refused to take it"
    VOIDED = "the provider holds it no longer"
    VOID_TOO_LATE = "the provider had taken it before it was asked to let go"
    REFUNDED = "the provider gave it back"
    MISMATCHED = "the provider knows another amount or currency than the order"
    UNANSWERED = "the provider was asked and gave no answer"


class Outcome(Enum):
    """What a fact does to a payment. The last six change nothing."""

    NOTE = "who pays, how much and under which key is written down; nothing is asked"
    ASK = "the amount is to be held: AUTHORIZING"
    BURY = "over before it began, nothing will be asked: ENDED"
    HOLD = "the amount is held, and the order hears it: AUTHORIZED"
    DECLINE = "refused, and the order hears it: DECLINED"
    AWAIT_HOLD = "over while the provider decides, whose answer is awaited: AUTHORIZING_ENDED"
    DECLINE_UNHEARD = "refused after the end, which changes nothing for anyone: DECLINED"
    LET_GO_UNHEARD = "held for an order that is over, and never announced: VOIDING"
    LET_GO = "the order is over, what is held is to be let go: VOIDING"
    TAKE = "the order stands, what is held is to be taken: CAPTURING"
    AWAIT_CAPTURE = "over while the provider takes it, whose answer is awaited: CAPTURING_ENDED"
    LOSE = "it cannot be taken: the order hears it, and what is still held is to be let go: VOIDING"
    KEEP = "the money is ours, and the order hears it: CAPTURED"
    TAKE_AND_GIVE_BACK = "taken after the end: said, and to be given back: REFUNDING"
    GIVE_BACK = "taken for an order that is over, to be given back: REFUNDING"
    RELEASE = "nothing is held any more: VOIDED"
    REFUND = "it is given back, and the order hears it: REFUNDED"
    LEAVE_OPEN = "asked in vain: UNKNOWN, and the same key is asked again"
    LEAVE_TO_PEOPLE = "amounts differ: UNKNOWN, said loudly, and asked again until people have mended it"
    KNOWN = "this was so already, or has been answered otherwise"
    TOO_LATE = "the money is on its way back, or is back"
    TOO_EARLY = "what the order costs is not known yet: whoever says this must say it again"
    CONTRADICTED = "something else was said before, and stands; people are told"
    UNASKED = "the provider answers what nobody asked; people are told"
    IMPOSSIBLE = "this cannot follow what we have said: set aside for people"


class Say(Enum):
    """Which event a step publishes."""

    AUTHORIZED = PaymentAuthorized
    FAILED = PaymentFailed
    CAPTURED = PaymentCaptured
    REFUNDED = PaymentRefunded


@dataclass(frozen=True, slots=True)
class Step:
    """Where an outcome leads, what is asked of the provider next, what the world hears, what clients see."""

    to: Stage
    ask: Operation | None = None
    say: Say | None = None
    status: Status | None = None


STEPS: Mapping[Outcome, Step] = {
    Outcome.ASK: Step(Stage.AUTHORIZING, ask=Operation.AUTHORIZE),
    Outcome.BURY: Step(Stage.ENDED, status=Status.FAILED),
    Outcome.HOLD: Step(Stage.AUTHORIZED, say=Say.AUTHORIZED, status=Status.AUTHORIZED),
    Outcome.DECLINE: Step(Stage.DECLINED, say=Say.FAILED, status=Status.FAILED),
    Outcome.AWAIT_HOLD: Step(Stage.AUTHORIZING_ENDED),
    Outcome.DECLINE_UNHEARD: Step(Stage.DECLINED, status=Status.FAILED),
    Outcome.LET_GO_UNHEARD: Step(Stage.VOIDING, ask=Operation.VOID, status=Status.FAILED),
    Outcome.LET_GO: Step(Stage.VOIDING, ask=Operation.VOID),
    Outcome.TAKE: Step(Stage.CAPTURING, ask=Operation.CAPTURE),
    Outcome.AWAIT_CAPTURE: Step(Stage.CAPTURING_ENDED),
    # the card still holds the amount: nothing live may remain
    Outcome.LOSE: Step(Stage.VOIDING, ask=Operation.VOID, say=Say.FAILED, status=Status.FAILED),
    Outcome.KEEP: Step(Stage.CAPTURED, say=Say.CAPTURED),
    Outcome.TAKE_AND_GIVE_BACK: Step(Stage.REFUNDING, ask=Operation.REFUND, say=Say.CAPTURED),
    Outcome.GIVE_BACK: Step(Stage.REFUNDING, ask=Operation.REFUND),
    Outcome.RELEASE: Step(Stage.VOIDED),
    Outcome.REFUND: Step(Stage.REFUNDED, say=Say.REFUNDED),
}
"""Every other outcome leaves the stage as it is."""


def _course() -> Mapping[tuple[Stage, Fact], Outcome]:
    """The whole machine, two rows for each stage: what clients and the order say, then what the provider says."""
    o = Outcome
    known, late, early, against, unasked, never = (
        o.KNOWN, o.TOO_LATE, o.TOO_EARLY, o.CONTRADICTED, o.UNASKED, o.IMPOSSIBLE
    )  # fmt: skip
    open_, people = o.LEAVE_OPEN, o.LEAVE_TO_PEOPLE
    # claimed, ordered, ordered otherwise, confirmed, ended;
    # authorized, declined, captured, capture declined, voided, void too late, refunded, mismatched, unanswered
    rows = {
        Stage.WAITING: (
            (o.NOTE, o.ASK, never, never, o.BURY),
            (early, early, unasked, unasked, unasked, unasked, unasked, unasked, unasked),
        ),
        Stage.AUTHORIZING: (
            (known, known, against, never, o.AWAIT_HOLD),
            (o.HOLD, o.DECLINE, unasked, unasked, unasked, unasked, unasked, people, open_),
        ),
        Stage.AUTHORIZING_ENDED: (
            (known, known, against, never, known),
            (o.LET_GO_UNHEARD, o.DECLINE_UNHEARD, unasked, unasked, unasked, unasked, unasked, people, open_),
        ),
        Stage.AUTHORIZED: (
            (known, known, against, o.TAKE, o.LET_GO),
            (known, against, unasked, unasked, unasked, unasked, unasked, against, known),
        ),
        Stage.CAPTURING: (
            (known, known, against, known, o.AWAIT_CAPTURE),
            (known, against, o.KEEP, o.LOSE, unasked, unasked, unasked, people, open_),
        ),
        Stage.CAPTURING_ENDED: (
            (known, known, against, known, known),
            (known, against, o.TAKE_AND_GIVE_BACK, o.LET_GO, unasked, unasked, unasked, people, open_),
        ),
        Stage.CAPTURED: (
            (known, known, against, known, o.GIVE_BACK),
            (known, against, known, against, unasked, unasked, unasked, against, known),
        ),
        Stage.VOIDING: (
            (known, known, against, late, known),
            (known, late, against, known, o.RELEASE, o.GIVE_BACK, unasked, people, open_),
        ),
        Stage.VOIDED: (
            (known, known, against, late, known),
            (known, late, against, known, known, against, unasked, against, known),
        ),
        Stage.REFUNDING: (
            (known, known, against, late, known),
            (known, late, known, against, against, known, o.REFUND, people, open_),
        ),
        Stage.REFUNDED: (
            (known, known, against, late, known),
            (known, late, known, against, against, known, known, against, known),
        ),
        # a webhook may speak for a payment that is over: whatever it holds is let go
        Stage.DECLINED: (
            (known, known, against, never, known),
            (o.LET_GO_UNHEARD, known, unasked, unasked, unasked, unasked, unasked, against, known),
        ),
        Stage.ENDED: (
            (o.NOTE, o.NOTE, never, never, known),
            (o.LET_GO_UNHEARD, known, unasked, unasked, unasked, unasked, unasked, unasked, unasked),
        ),
    }
    return {
        (stage, fact): outcome
        for stage, (from_order, from_provider) in rows.items()
        for fact, outcome in zip(Fact, from_order + from_provider, strict=True)
    }


COURSE = _course()

LOUD = frozenset({Outcome.LOSE, Outcome.LEAVE_TO_PEOPLE, Outcome.CONTRADICTED, Outcome.UNASKED, Outcome.IMPOSSIBLE})
"""Outcomes that people are told of, each time."""

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
