"""The saga as a table: every pair has an outcome, and no road through it leaves the allowed arrows."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise, permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecote.events import Cause
from ecom.contracts.order import OrderCancelled, OrderConfirmed, OrderLine, OrderTimedOut
from ecom.order.domain import (
    ALLOWED,
    LEADS_TO,
    PUBLISHES,
    SAGA,
    Happening,
    NewOrder,
    Outcome,
    Phase,
    Standing,
    Status,
    decide,
    placed,
)

NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
ENDED = (Phase.FAILED, Phase.TIMED_OUT, Phase.CANCELLED)
QUIET = (Outcome.KNOWN, Outcome.TOO_LATE, Outcome.CONTRADICTED, Outcome.REFUSED)


def standing(phase: Phase) -> Standing:
    """An order in a phase."""
    status = Status(phase.value) if phase.value in set(Status) else Status.PAYMENT_PENDING
    return Standing(
        id="ord_1",
        user_id=7,
        status=status,
        reason="EARLIER" if phase in ENDED else None,
        paid=phase in (Phase.PAID, Phase.CONFIRMED),
        held=phase in (Phase.HELD, Phase.CONFIRMED),
        sequence=1 if status is Status.PAYMENT_PENDING else 2,
        trace_id="t",
    )


def test_every_pair_has_an_outcome() -> None:
    """Nothing can happen to an order that the table does not name; no outcome is idle."""
    assert set(SAGA) == set(product(Phase, Happening))
    assert set(SAGA.values()) == set(Outcome)


@pytest.mark.parametrize("phase", Phase)
def test_a_standing_knows_its_phase(phase: Phase) -> None:
    """The phase is read from status and answers, nothing else."""
    assert standing(phase).phase is phase


@pytest.mark.parametrize(("phase", "happening"), list(product(Phase, Happening)))
def test_a_move_is_whole(phase: Phase, happening: Happening) -> None:
    """Status, event, number and reason change together or not at all; only allowed arrows are taken."""
    before = standing(phase)
    move = decide(before, happening, NOW)
    changed = move.after.status is not before.status
    assert changed == (move.event is not None)
    assert move.after.sequence == before.sequence + (1 if changed else 0)
    if changed:
        assert (before.status, move.after.status) in ALLOWED
        assert move.event is not None
        assert PUBLISHES[move.after.status] == move.event.EVENT
    assert move.after.phase is LEADS_TO.get(move.outcome, phase)
    if move.outcome in QUIET:
        assert move.after is before
    if move.after.status is Status.CONFIRMED:
        assert (move.after.paid, move.after.held) == (True, True)
    assert (move.after.reason is not None) == (move.after.status not in (Status.PAYMENT_PENDING, Status.CONFIRMED))


@pytest.mark.parametrize(("phase", "happening"), list(product(ENDED, Happening)))
def test_an_end_is_an_end(phase: Phase, happening: Happening) -> None:
    """No happening moves an order that has ended; a customer's wish is refused, a late fact is let pass."""
    outcome = decide(standing(phase), happening, NOW).outcome
    asked = happening in (Happening.CANCEL_ASKED, Happening.CONFIRM_ASKED)
    assert outcome is (Outcome.REFUSED if asked else Outcome.TOO_LATE)


@pytest.mark.parametrize("order", list(permutations([Happening.AUTHORIZED, Happening.RESERVED])))
def test_both_answers_confirm_in_whichever_order(order: tuple[Happening, ...]) -> None:
    """One answer leaves the order pending, the second confirms it."""
    first = decide(standing(Phase.WAITING), order[0], NOW)
    assert (first.after.status, first.event) == (Status.PAYMENT_PENDING, None)
    second = decide(first.after, order[1], NOW)
    assert second.after.status is Status.CONFIRMED
    assert second.event == OrderConfirmed(order_id="ord_1", user_id=7, confirmed_at=NOW)


@pytest.mark.parametrize("phase", [Phase.WAITING, Phase.PAID, Phase.HELD])
@pytest.mark.parametrize(
    ("happening", "status"),
    [
        (Happening.CAPTURE_DECLINED, Status.FAILED),
        (Happening.OUT_OF_STOCK, Status.FAILED),
        (Happening.EXPIRED, Status.FAILED),
        (Happening.CANCEL_ASKED, Status.CANCELLED),
        (Happening.DEADLINE_PASSED, Status.TIMED_OUT),
    ],
)
def test_a_pending_order_ends(phase: Phase, happening: Happening, status: Status) -> None:
    """A refusal, the customer or the deadline ends an order whoever has answered; the reason is kept."""
    move = decide(standing(phase), happening, NOW)
    assert (move.after.status, move.after.reason) == (status, happening.value)


@pytest.mark.parametrize(
    "happening",
    [Happening.CAPTURE_DECLINED, Happening.EXPIRED, Happening.OUT_OF_STOCK, Happening.CANCEL_ASKED],
)
def test_a_confirmed_order_that_loses_money_or_stock_is_cancelled(happening: Happening) -> None:
    """CONFIRMED is given up when what it stood on is gone; order.cancelled makes the others give back."""
    move = decide(standing(Phase.CONFIRMED), happening, NOW)
    assert move.after.status is Status.CANCELLED
    assert move.event == OrderCancelled(order_id="ord_1", user_id=7, reason=happening.value, cancelled_at=NOW)


def test_a_declined_payment_fails_an_order_unless_one_was_authorized() -> None:
    """payment.failed fails a waiting order; after payment.authorized only a declined capture counts."""
    outcomes = {phase: SAGA[phase, Happening.PAYMENT_DECLINED] for phase in list(Phase)[:4]}
    assert outcomes == {
        Phase.WAITING: Outcome.FAIL,
        Phase.HELD: Outcome.FAIL,
        Phase.PAID: Outcome.CONTRADICTED,
        Phase.CONFIRMED: Outcome.CONTRADICTED,
    }


def test_a_timed_out_order_says_so() -> None:
    """order.timed-out carries the status and the moment."""
    move = decide(standing(Phase.HELD), Happening.DEADLINE_PASSED, NOW)
    assert move.event == OrderTimedOut(order_id="ord_1", user_id=7, status="TIMED_OUT", timed_out_at=NOW)


@given(st.lists(st.sampled_from(Happening), max_size=12))
def test_no_road_leaves_the_arrows(happenings: list[Happening]) -> None:
    """Whatever happens in whatever order: at most two changes of status, each told once, numbered without a gap."""
    order, told = standing(Phase.WAITING), 1
    statuses = [order.status]
    for happening in happenings:
        move = decide(order, happening, NOW)
        order = move.after
        told += move.event is not None
        if order.status is not statuses[-1]:
            statuses.append(order.status)
        assert order.sequence == told
    assert len(statuses) <= 3
    assert all(pair in ALLOWED for pair in pairwise(statuses))


def test_a_placed_order_is_told_as_created() -> None:
    """The total is exact and rounded half up; the event reads CREATED, the order PAYMENT_PENDING."""
    lines = (
        OrderLine(product_id="p1", sku="s1", quantity=3, unit_price=Decimal("0.335")),
        OrderLine(product_id="p2", sku="s2", quantity=1, unit_price=Decimal(10)),
    )
    order, event = placed(NewOrder(7, "EUR", lines, Cause("t"), email="a@b.example"), "ord_1", NOW)
    assert order.total_amount == event.total_amount == Decimal("11.01")
    assert (order.status, event.status, event.email) == (Status.PAYMENT_PENDING, "CREATED", "a@b.example")
    assert order.as_placed() == order
