"""The payment's table: every pair has an outcome, and what the outcomes that make no step leave as it is."""

from __future__ import annotations

import itertools

import pytest
from msgspec.structs import replace

from ecom.payment.domain import News, Rules, decide
from ecom.payment.stages import COURSE, IN_HAND, LOUD, STEPS, Fact, Outcome, Say, Settlement, Stage
from ecom.provider.interface import Operation
from tests.payment.test_domain import ALL, NEW, NOW, TERMS, news, tell


def test_confirmed_without_authorization_is_impossible() -> None:
    """Wherever payment.authorized was never said, order.confirmed is set aside and changes nothing."""
    unsaid = {Stage.WAITING, Stage.AUTHORIZING, Stage.AUTHORIZING_ENDED, Stage.DECLINED, Stage.ENDED}
    for stage in Stage:
        assert (COURSE[stage, Fact.CONFIRMED] is Outcome.IMPOSSIBLE) == (stage in unsaid)
    for payment, _ in ALL:
        if payment.stage in unsaid:
            assert tell(payment, Fact.CONFIRMED).after == payment


def test_every_pair_has_an_outcome() -> None:
    """No fact can reach a payment that the table does not name; no outcome is idle."""
    assert set(COURSE) == set(itertools.product(Stage, Fact))
    assert set(COURSE.values()) == set(Outcome)


def test_what_makes_no_step_changes_no_stage() -> None:
    """From every payment and for every fact: the outcome is the table's, and the stage moves as its step says."""
    for payment, _ in ALL:
        for fact in set(Fact) - {Fact.ORDERED_OTHERWISE}:
            decision = decide(payment, news(fact), NOW, Rules())
            if decision.outcome is not Outcome.TOO_EARLY:
                assert decision.outcome is COURSE[payment.stage, fact]
            step = STEPS.get(decision.outcome)
            assert decision.after.stage is (step.to if step else payment.stage)
            if step is None:
                assert (decision.ask, decision.events) == (None, ())


def test_facts_that_change_nothing_change_nothing() -> None:
    """Quiet outcomes leave the payment as it is, to the last field; a client's key and the provider's name apart."""
    quiet = {Outcome.KNOWN, Outcome.TOO_LATE, Outcome.TOO_EARLY, Outcome.CONTRADICTED}
    quiet |= {Outcome.UNASKED, Outcome.IMPOSSIBLE}
    for payment, _ in ALL:
        for fact in Fact:
            decision = decide(payment, news(fact), NOW, Rules())
            if decision.outcome in quiet:
                named = replace(payment, provider_payment_id=decision.after.provider_payment_id)
                assert decision.after == named, (payment.stage, fact)


def test_the_providers_name_is_noted_once() -> None:
    """Also by an answer that comes after a webhook has said it already; the first name stands."""
    by_webhook = decide(tell(NEW, Fact.ORDERED).after, News(Fact.AUTHORIZED), NOW, Rules()).after
    assert by_webhook.provider_payment_id is None
    answered = tell(by_webhook, Fact.AUTHORIZED)
    assert (answered.outcome, answered.after.provider_payment_id) == (Outcome.KNOWN, "sim_1")
    other = decide(answered.after, News(Fact.AUTHORIZED, provider_payment_id="sim_2"), NOW, Rules())
    assert other.after == answered.after


def test_an_order_placed_otherwise_is_contradicted() -> None:
    """Once an order is known, its amount is: another one under the same id is named, and the first is charged."""
    ordered = tell(NEW, Fact.ORDERED).after
    assert tell(ordered, Fact.ORDERED).outcome is Outcome.KNOWN
    for other in (replace(TERMS, amount_minor=1), replace(TERMS, currency="EUR")):
        decision = decide(ordered, News(Fact.ORDERED, terms=other), NOW, Rules())
        assert (decision.outcome, decision.after, decision.ask) == (Outcome.CONTRADICTED, ordered, None)
    elsewhere = decide(ordered, News(Fact.ORDERED, terms=replace(TERMS, payment_method="x")), NOW, Rules())
    assert elsewhere.outcome is Outcome.KNOWN


def test_a_hold_before_the_amount_is_known_is_too_early() -> None:
    """A webhook that overtakes its order is not taken: its sender says it again when there is an amount (G12)."""
    claim = News(Fact.CLAIMED, terms=TERMS, idempotency_key="k")
    waiting = decide(NEW, claim, NOW, Rules()).after
    assert tell(waiting, Fact.AUTHORIZED).outcome is Outcome.TOO_EARLY
    assert tell(waiting, Fact.DECLINED).outcome is Outcome.TOO_EARLY
    buried = tell(NEW, Fact.ENDED).after
    early = tell(buried, Fact.AUTHORIZED)
    assert (early.outcome, early.after) == (Outcome.TOO_EARLY, buried)
    assert tell(buried, Fact.ORDERED, Fact.AUTHORIZED).ask is Operation.VOID


@pytest.mark.parametrize("stage", list(IN_HAND))
def test_another_amount_is_left_to_people(stage: Stage) -> None:
    """Wherever an answer is owed, a mismatch opens the question, says nothing, asks nothing and is loud (G11)."""
    payment = next(payment for payment, _ in ALL if payment.stage is stage and payment.unknown_since is None)
    decision = tell(payment, Fact.MISMATCHED)
    assert decision.outcome is Outcome.LEAVE_TO_PEOPLE
    assert decision.outcome in LOUD
    assert (decision.events, decision.ask) == ((), None)
    assert (decision.after.stage, decision.after.settlement) == (stage, Settlement.UNKNOWN)


def test_every_say_has_its_event() -> None:
    """Each event of the service is said by some row of the table."""
    assert {step.say for step in STEPS.values() if step.say} == set(Say)
