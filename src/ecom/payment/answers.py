"""What a provider's answer means for a payment: pure, one table an operation."""

from __future__ import annotations

from collections.abc import Mapping

from ecom.payment.stages import Fact
from ecom.provider.interface import (
    ALREADY_CAPTURED,
    ALREADY_REFUNDED,
    ALREADY_VOIDED,
    AMOUNT_MISMATCH,
    NOT_FOUND,
    Answer,
    Found,
    Held,
    Operation,
    Outcome,
)

_APPROVED: Mapping[Operation, Fact] = {
    Operation.AUTHORIZE: Fact.AUTHORIZED,
    Operation.CAPTURE: Fact.CAPTURED,
    Operation.VOID: Fact.VOIDED,
    Operation.REFUND: Fact.REFUNDED,
}
_DONE: Mapping[Operation, frozenset[Held]] = {
    Operation.AUTHORIZE: frozenset({Held.AUTHORIZED, Held.CAPTURED, Held.VOIDED, Held.REFUNDED}),
    Operation.CAPTURE: frozenset({Held.CAPTURED, Held.REFUNDED}),
    Operation.VOID: frozenset({Held.VOIDED}),
    Operation.REFUND: frozenset({Held.REFUNDED}),
}


def fact_of(operation: Operation, answer: Answer) -> Fact:
    """What a payment is told. A refusal that contradicts our own books is no answer: people must look at it."""
    if answer.outcome is Outcome.UNKNOWN:
        return Fact.UNANSWERED
    if answer.outcome is Outcome.APPROVED:
        return _APPROVED[operation]
    match operation, answer.reason:
        case Operation.AUTHORIZE, _:
            return Fact.DECLINED
        case Operation.CAPTURE, reason if reason not in (NOT_FOUND, AMOUNT_MISMATCH):
            return Fact.CAPTURE_DECLINED
        case Operation.VOID, reason if reason == ALREADY_CAPTURED:
            return Fact.VOID_TOO_LATE
        case Operation.VOID, reason if reason in (NOT_FOUND, ALREADY_VOIDED, ALREADY_REFUNDED):
            return Fact.VOIDED
        case _:
            return Fact.UNANSWERED


def known_from(operation: Operation, found: Found) -> Answer | None:
    """What a look up says about an operation asked before; None where only asking again can tell."""
    if found.held in _DONE[operation]:
        return Answer(Outcome.APPROVED, found.provider_id)
    if operation is Operation.AUTHORIZE and found.held is Held.DECLINED:
        return Answer(Outcome.DECLINED, found.provider_id, found.reason)
    if found.held is Held.UNKNOWN:
        return Answer(Outcome.UNKNOWN, reason=found.reason)
    return None
