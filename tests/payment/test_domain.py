"""The payment's state machine, exhaustively and without I/O."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from ecom.contracts.payment import CAPTURE_DECLINED, PaymentFailed
from ecom.payment.domain import CaptureOn, Decision, Mode, News, Payment, Rules, Terms, decide
from ecom.payment.stages import COURSE, IN_HAND, STEPS, Fact, Outcome, Settlement, Stage, Status
from ecom.provider.interface import Operation

NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
TERMS = Terms(user_id=7, amount_minor=1250, currency="USD", payment_method="card")
NEW = Payment(order_id="ord_1", payment_id="pay_1", created_at=NOW, updated_at=NOW, trace_id="0" * 32)
FROM_ORDER = (Fact.ORDERED, Fact.CONFIRMED, Fact.ENDED)
ANSWERS = {
    Operation.AUTHORIZE: (Fact.AUTHORIZED, Fact.DECLINED),
    Operation.CAPTURE: (Fact.CAPTURED, Fact.CAPTURE_DECLINED),
    Operation.VOID: (Fact.VOIDED,),
    Operation.REFUND: (Fact.REFUNDED,),
}


def news(fact: Fact) -> News:
    """A fact with what it usually brings."""
    match fact:
        case Fact.ORDERED:
            return News(fact, terms=TERMS)
        case Fact.ORDERED_OTHERWISE:
            return News(Fact.ORDERED, terms=replace(TERMS, currency="EUR"))
        case Fact.ENDED:
            return News(fact, reason="ORDER_TIMED_OUT")
        case Fact.AUTHORIZED:
            return News(fact, provider_payment_id="sim_1")
        case Fact.DECLINED:
            return News(fact, reason="CARD_DECLINED", provider_payment_id="sim_1")
        case _:
            return News(fact)


def tell(payment: Payment, *facts: Fact, rules: Rules | None = None) -> Decision:
    """Tell facts in order; the last decision."""
    decision = Decision(payment, payment, Outcome.KNOWN)
    for fact in facts:
        decision = decide(decision.after, news(fact), NOW, rules or Rules())
    return decision


def names(decision: Decision) -> list[str]:
    return [type(event).__name__ for event in decision.events]


def reachable() -> Iterator[tuple[Payment, frozenset[Operation]]]:
    """Every payment that can come about, with the operations asked so far, by walking all facts from all states.

    The provider only answers what it was asked; the order's facts may come at any time.
    """
    frontier: list[tuple[Payment, frozenset[Operation]]] = [(NEW, frozenset())]
    seen = set()
    while frontier:
        payment, asked = frontier.pop()
        if (payment, asked) in seen:
            continue
        seen.add((payment, asked))
        yield payment, asked
        facts = [*FROM_ORDER, Fact.UNANSWERED, *itertools.chain(*(ANSWERS[operation] for operation in asked))]
        for fact in facts:
            after = decide(payment, news(fact), NOW, Rules())
            frontier.append((after.after, asked | ({after.ask} if after.ask else set())))


ALL = list(reachable())


def test_every_stage_is_reached() -> None:
    """No stage is dead, and the walk below means something."""
    assert {payment.stage for payment, _ in ALL} == set(Stage)


def test_every_operation_is_asked_at_most_once() -> None:
    """Whatever comes in whatever order, no operation of an order is asked under two decisions (I8)."""
    for payment, asked in ALL:
        for fact in Fact:
            ask = decide(payment, news(fact), NOW, Rules()).ask
            assert ask is None or ask not in asked, (payment, fact)


def test_capture_and_void_never_both() -> None:
    """A void follows a capture only where the capture was declined; a capture never follows a void."""
    for (stage, fact), outcome in COURSE.items():
        step = STEPS.get(outcome)
        if step is None:
            continue
        if step.ask is Operation.VOID and stage in (Stage.CAPTURING, Stage.CAPTURING_ENDED):
            assert fact is Fact.CAPTURE_DECLINED
        if step.ask is Operation.CAPTURE:
            assert stage is Stage.AUTHORIZED
        if step.ask is Operation.REFUND:
            assert stage in (Stage.CAPTURED, Stage.CAPTURING_ENDED, Stage.VOIDING)
    for _, asked in ALL:
        assert not {Operation.VOID, Operation.REFUND} <= asked


def test_an_order_that_ended_ends_without_money() -> None:
    """From every state: the order ends, the provider answers all it is asked, and nothing is held (I6)."""
    done = {Stage.VOIDED, Stage.REFUNDED, Stage.DECLINED, Stage.ENDED}
    for payment, _ in ALL:
        ended = tell(payment, Fact.ENDED).after
        for choices in itertools.product((0, 1), repeat=2):
            after = ended
            for turn in range(4):
                operation = IN_HAND.get(after.stage)
                if operation is None:
                    break
                options = ANSWERS[operation]
                after = tell(after, options[min(choices[min(turn, 1)], len(options) - 1)]).after
            assert after.stage in done, (payment.stage, after.stage)
            assert after.settlement is not Settlement.UNKNOWN
            assert after.status is not Status.PENDING


def test_silence_changes_only_the_settlement() -> None:
    """UNANSWERED is never a failure: it opens a question, once, where an answer is owed, and says nothing."""
    for payment, _ in ALL:
        decision = decide(payment, news(Fact.UNANSWERED), NOW, Rules())
        assert decision.events == ()
        assert decision.ask is None
        assert replace(decision.after, unknown_since=None) == replace(payment, unknown_since=None)
        assert (decision.after.unknown_since is not None) == (payment.stage in IN_HAND)


def test_unknown_only_while_an_answer_is_owed() -> None:
    """Settlement UNKNOWN belongs to the stages that wait for the provider, and every answer closes it."""
    for payment, _ in ALL:
        if payment.settlement is Settlement.UNKNOWN:
            assert payment.stage in IN_HAND


def test_events_are_counted() -> None:
    """The sequence grows by the number of events, in every state and for every fact."""
    for payment, _ in ALL:
        for fact in Fact:
            decision = decide(payment, news(fact), NOW, Rules())
            assert decision.after.sequence == payment.sequence + len(decision.events)


def test_failed_is_said_only_on_the_providers_word() -> None:
    """payment.failed follows a decline of authorization or capture, nothing else."""
    for payment, _ in ALL:
        for fact in Fact:
            if any(isinstance(event, PaymentFailed) for event in decide(payment, news(fact), NOW, Rules()).events):
                assert fact in (Fact.DECLINED, Fact.CAPTURE_DECLINED)


def test_repetitions_change_nothing() -> None:
    """Every fact told twice in a row acts once."""
    for payment, _ in ALL:
        for fact in Fact:
            once = decide(payment, news(fact), NOW, Rules())
            again = decide(once.after, news(fact), NOW + timedelta(seconds=1), Rules())
            assert again.events == ()
            assert again.ask is None
            assert again.after == once.after


def test_status_is_pending_until_answered() -> None:
    """What clients see follows from the stage, as the table's CHECK demands."""
    pending = {Stage.WAITING, Stage.AUTHORIZING, Stage.AUTHORIZING_ENDED}
    for payment, _ in ALL:
        assert (payment.status is Status.PENDING) == (payment.stage in pending)


@pytest.mark.parametrize(
    ("facts", "stage", "status", "settlement"),
    [
        ((Fact.ORDERED,), Stage.AUTHORIZING, Status.PENDING, Settlement.NONE),
        ((Fact.ORDERED, Fact.UNANSWERED), Stage.AUTHORIZING, Status.PENDING, Settlement.UNKNOWN),
        ((Fact.ORDERED, Fact.AUTHORIZED), Stage.AUTHORIZED, Status.AUTHORIZED, Settlement.NONE),
        ((Fact.ORDERED, Fact.DECLINED), Stage.DECLINED, Status.FAILED, Settlement.NONE),
        (
            (Fact.ORDERED, Fact.AUTHORIZED, Fact.CONFIRMED, Fact.CAPTURED),
            Stage.CAPTURED,
            Status.AUTHORIZED,
            Settlement.CAPTURED,
        ),
        ((Fact.ORDERED, Fact.AUTHORIZED, Fact.ENDED, Fact.VOIDED), Stage.VOIDED, Status.AUTHORIZED, Settlement.VOIDED),
        ((Fact.ORDERED, Fact.ENDED, Fact.AUTHORIZED, Fact.VOIDED), Stage.VOIDED, Status.FAILED, Settlement.VOIDED),
        (
            (Fact.ORDERED, Fact.AUTHORIZED, Fact.CONFIRMED, Fact.CAPTURED, Fact.ENDED),
            Stage.REFUNDING,
            Status.AUTHORIZED,
            Settlement.CAPTURED,
        ),
        (
            (Fact.ORDERED, Fact.AUTHORIZED, Fact.CONFIRMED, Fact.CAPTURED, Fact.ENDED, Fact.REFUNDED),
            Stage.REFUNDED,
            Status.AUTHORIZED,
            Settlement.REFUNDED,
        ),
        ((Fact.ENDED, Fact.ORDERED), Stage.ENDED, Status.FAILED, Settlement.NONE),
    ],
)
def test_roads(facts: tuple[Fact, ...], stage: Stage, status: Status, settlement: Settlement) -> None:
    """The roads of the saga table, as clients see them."""
    after = tell(NEW, *facts).after
    assert (after.stage, after.status, after.settlement) == (stage, status, settlement)


def test_late_success_is_voided_in_silence() -> None:
    """The order ended while the provider was silent: its yes is voided and never announced."""
    decision = tell(NEW, Fact.ORDERED, Fact.UNANSWERED, Fact.ENDED, Fact.AUTHORIZED)
    assert decision.ask is Operation.VOID
    assert decision.events == ()
    assert decision.after.failure_reason == "ORDER_TIMED_OUT"


def test_capture_declined_is_told_and_voided() -> None:
    """The card still holds the amount after a declined capture: void it, and say why the order must go."""
    decision = tell(NEW, Fact.ORDERED, Fact.AUTHORIZED, Fact.CONFIRMED, Fact.CAPTURE_DECLINED)
    assert decision.ask is Operation.VOID
    (event,) = decision.events
    assert isinstance(event, PaymentFailed)
    assert event.reason == CAPTURE_DECLINED


def test_end_during_capture_is_refunded() -> None:
    """Void and capture exclude each other: an order that ends while a capture is on its way is refunded after it."""
    ended = tell(NEW, Fact.ORDERED, Fact.AUTHORIZED, Fact.CONFIRMED, Fact.ENDED)
    assert ended.ask is None
    captured = tell(ended.after, Fact.CAPTURED)
    assert captured.ask is Operation.REFUND
    assert names(captured) == ["PaymentCaptured"]


def test_tombstone_learns_what_it_buried() -> None:
    """order.created after its end charges nothing; the row then shows the order's amount."""
    decision = tell(NEW, Fact.ENDED, Fact.ORDERED)
    assert decision.ask is None
    assert decision.after.amount_minor == 1250


def test_claim_is_only_a_claim() -> None:
    """An intent with another amount waits, and is charged with the order's."""
    claim = News(Fact.CLAIMED, terms=Terms(user_id=7, amount_minor=1, currency="EUR"), idempotency_key="k")
    waiting = decide(NEW, claim, NOW, Rules())
    assert (waiting.after.stage, waiting.after.amount_minor, waiting.ask) == (Stage.WAITING, 1, None)
    ordered = tell(waiting.after, Fact.ORDERED)
    assert ordered.ask is Operation.AUTHORIZE
    assert (ordered.after.amount_minor, ordered.after.currency) == (1250, "USD")
    assert ordered.after.idempotency_key == "k"


def test_webhook_mode_asks_no_authorization() -> None:
    """In webhook mode only a webhook resolves a payment; capture is asked as ever."""
    rules = Rules(mode=Mode.WEBHOOK)
    assert tell(NEW, Fact.ORDERED, rules=rules).ask is None
    assert tell(NEW, Fact.ORDERED, Fact.AUTHORIZED, Fact.CONFIRMED, rules=rules).ask is Operation.CAPTURE


def test_capture_on_authorization() -> None:
    """Beside an order service that never confirms, the amount is taken as soon as it is held; once."""
    rules = Rules(capture=CaptureOn.AUTHORIZATION)
    decision = tell(NEW, Fact.ORDERED, Fact.AUTHORIZED, rules=rules)
    assert (decision.after.stage, decision.ask) == (Stage.CAPTURING, Operation.CAPTURE)
    assert names(decision) == ["PaymentAuthorized"]
    assert tell(decision.after, Fact.CONFIRMED, rules=rules).ask is None


def test_the_providers_name_is_noted_once() -> None:
    """Whatever the provider says first gives its name for the payment, also where it says nothing new."""
    (by_webhook,) = {tell(tell(NEW, Fact.ORDERED).after, Fact.AUTHORIZED).after}
    assert by_webhook.provider_payment_id
