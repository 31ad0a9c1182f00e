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
# A refusal that contradicts our own books is no answer: people must look at it, and meanwhile it is asked again.
_REFUSED: Mapping[Operation, Mapping[str | None, Fact]] = {
    Operation.AUTHORIZE: {AMOUNT_MISMATCH: Fact.MISMATCHED},
    Operation.CAPTURE: {
        AMOUNT_MISMATCH: Fact.MISMATCHED,
        NOT_FOUND: Fact.UNANSWERED,
        ALREADY_CAPTURED: Fact.CAPTURED,
    },
    Operation.VOID: {
        AMOUNT_MISMATCH: Fact.MISMATCHED,
        NOT_FOUND: Fact.VOIDED,
        ALREADY_CAPTURED: Fact.VOID_TOO_LATE,
        ALREADY_VOIDED: Fact.VOIDED,
        ALREADY_REFUNDED: Fact.VOIDED,
    },
    Operation.REFUND: {AMOUNT_MISMATCH: Fact.MISMATCHED, ALREADY_REFUNDED: Fact.REFUNDED},
}
_REFUSED_OTHERWISE: Mapping[Operation, Fact] = {
    Operation.AUTHORIZE: Fact.DECLINED,
    Operation.CAPTURE: Fact.CAPTURE_DECLINED,
    Operation.VOID: Fact.UNANSWERED,
    Operation.REFUND: Fact.UNANSWERED,
}
_DONE: Mapping[Operation, frozenset[Held]] = {
    Operation.AUTHORIZE: frozenset({Held.AUTHORIZED, Held.CAPTURED}),
    Operation.CAPTURE: frozenset({Held.CAPTURED, Held.REFUNDED}),
    Operation.VOID: frozenset({Held.VOIDED}),
    Operation.REFUND: frozenset({Held.REFUNDED}),
}
# What a look up shows of an authorization of which nothing is held (any more), and why.
_NOT_HELD: Mapping[Held, str | None] = {
    Held.DECLINED: None,
    Held.VOIDED: ALREADY_VOIDED,
    Held.REFUNDED: ALREADY_REFUNDED,
}

OPEN = frozenset({Fact.UNANSWERED, Fact.MISMATCHED})
"""What settles nothing: the same is asked again, with the same key."""


def fact_of(operation: Operation, answer: Answer) -> Fact:
    """What a payment is told."""
    if answer.outcome is Outcome.UNKNOWN:
        return Fact.UNANSWERED
    if answer.outcome is Outcome.APPROVED:
        return _APPROVED[operation]
    return _REFUSED[operation].get(answer.reason, _REFUSED_OTHERWISE[operation])


def known_from(operation: Operation, found: Found, *, amount_minor: int | None, currency: str | None) -> Answer | None:
    """What a look up says about an operation asked before; None where only asking again can tell.

    The amount is the order's: what the provider holds must be just that, where it says how much it holds.
    """
    if found.held is Held.UNKNOWN:
        return Answer(Outcome.UNKNOWN, reason=found.reason)
    is_other = (found.amount_minor, found.currency) not in ((None, None), (amount_minor, currency))
    if operation is Operation.AUTHORIZE and found.held in _NOT_HELD:
        # a refusal of another amount was not the answer to our question
        return None if is_other else Answer(Outcome.DECLINED, found.provider_id, _NOT_HELD[found.held] or found.reason)
    if found.held in _DONE[operation]:
        if is_other:
            return Answer(Outcome.DECLINED, found.provider_id, AMOUNT_MISMATCH)
        return Answer(Outcome.APPROVED, found.provider_id)
    return None
