"""What a provider's answers and look ups mean for a payment, without a provider."""

from __future__ import annotations

import pytest

from ecom.payment.answers import fact_of, known_from
from ecom.payment.stages import Fact
from ecom.provider.interface import Answer, Found, Held, Operation, Outcome


def seen(operation: Operation, found: Found) -> Answer | None:
    """What a look up says of an order of 12.50 USD."""
    return known_from(operation, found, amount_minor=1250, currency="USD")


@pytest.mark.parametrize(
    ("operation", "reason", "fact"),
    [
        (Operation.AUTHORIZE, "CARD_DECLINED", Fact.DECLINED),
        (Operation.CAPTURE, "CAPTURE_DECLINED", Fact.CAPTURE_DECLINED),
        (Operation.CAPTURE, "ALREADY_VOIDED", Fact.CAPTURE_DECLINED),
        (Operation.CAPTURE, "NOT_FOUND", Fact.UNANSWERED),
        (Operation.CAPTURE, "ALREADY_CAPTURED", Fact.CAPTURED),
        (Operation.AUTHORIZE, "AMOUNT_MISMATCH", Fact.MISMATCHED),
        (Operation.CAPTURE, "AMOUNT_MISMATCH", Fact.MISMATCHED),
        (Operation.VOID, "AMOUNT_MISMATCH", Fact.MISMATCHED),
        (Operation.REFUND, "AMOUNT_MISMATCH", Fact.MISMATCHED),
        (Operation.VOID, "ALREADY_CAPTURED", Fact.VOID_TOO_LATE),
        (Operation.VOID, "NOT_FOUND", Fact.VOIDED),
        (Operation.VOID, "VOID_DECLINED", Fact.UNANSWERED),
        (Operation.REFUND, "NOT_CAPTURED", Fact.UNANSWERED),
        (Operation.REFUND, "ALREADY_REFUNDED", Fact.REFUNDED),
    ],
)
def test_what_a_refusal_means(operation: Operation, reason: str, fact: Fact) -> None:
    """A refusal that contradicts our books is not a failure of the customer's card: it stays open for people."""
    assert fact_of(operation, Answer(Outcome.DECLINED, "sim_1", reason)) is fact


@pytest.mark.parametrize("operation", Operation)
def test_what_a_look_up_means(operation: Operation) -> None:
    """NOTHING never answers (a request may be on its way); a look up that failed is a silence."""
    assert seen(operation, Found(Held.NOTHING)) is None
    unknown = seen(operation, Found(Held.UNKNOWN, reason="TIMEOUT"))
    assert unknown == Answer(Outcome.UNKNOWN, reason="TIMEOUT")
    refunded = seen(operation, Found(Held.REFUNDED, "sim_1"))
    assert (refunded is None) == (operation is Operation.VOID)


@pytest.mark.parametrize(
    ("operation", "held"),
    [
        (Operation.AUTHORIZE, Held.AUTHORIZED),
        (Operation.AUTHORIZE, Held.CAPTURED),
        (Operation.CAPTURE, Held.CAPTURED),
        (Operation.VOID, Held.VOIDED),
        (Operation.REFUND, Held.REFUNDED),
    ],
)
@pytest.mark.parametrize("amount", [(1250, "USD"), (1249, "USD"), (1250, "EUR"), (None, None)])
def test_a_look_up_of_another_amount_is_a_mismatch(
    operation: Operation, held: Held, amount: tuple[int | None, str | None]
) -> None:
    """What was done for another amount or currency was not what we asked; a provider may not say how much (G11)."""
    answer = seen(operation, Found(held, "sim_1", None, *amount))
    assert answer is not None
    is_ours = amount in ((1250, "USD"), (None, None))
    assert (fact_of(operation, answer) is Fact.MISMATCHED) is not is_ours


def test_a_hold_let_go_elsewhere_is_no_hold() -> None:
    """The provider held it once and holds it no longer: no order is confirmed on the strength of that."""
    for held in (Held.VOIDED, Held.REFUNDED):
        answer = seen(Operation.AUTHORIZE, Found(held, "sim_1", None, 1250, "USD"))
        assert answer is not None
        assert fact_of(Operation.AUTHORIZE, answer) is Fact.DECLINED
    other = Found(Held.DECLINED, "sim_1", "CARD_DECLINED", 999, "USD")
    assert seen(Operation.AUTHORIZE, other) is None
