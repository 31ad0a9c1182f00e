"""Allocation and the life of a hold, without a database: nothing is oversold, every order of events ends well."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecom.contracts.payment import CAPTURE_DECLINED
from ecom.inventory.domain import Hold, OrderLine, OrderLines, OrderUnpaid, Stock, allocate, take, turn
from ecom.inventory.holds import HOLDS, LEADS_TO, SAID, Fact, HoldState, Outcome, Phase

SKUS = ["A", "B", "C", "D"]
LATER = [fact for fact in Fact if fact not in (Fact.COVERED, Fact.SHORT)]
OVER = (Phase.REFUSED, Phase.RELEASED, Phase.EXPIRED, Phase.ENDED)


def order(order_id: str, *lines: tuple[str, int]) -> OrderLines:
    return OrderLines(order_id=order_id, items=tuple(OrderLine(sku, quantity) for sku, quantity in lines))


def fresh(*orders: OrderLines) -> dict[str, Hold]:
    return {each.order_id: Hold(each.order_id) for each in orders}


def standing(phase: Phase) -> Hold:
    """A hold in a phase."""
    state = HoldState.AWAITED if phase is Phase.PREPAID else HoldState(phase.value)
    return Hold("o", state, paid=phase in (Phase.PREPAID, Phase.CONFIRMED), sequence=1)


def tell(hold: Hold, fact: Fact) -> Hold:
    """A hold after one fact, as handlers and jobs tell it."""
    if fact in (Fact.COVERED, Fact.SHORT):
        [verdict] = allocate([order("o", ("A", 1))], {"o": hold}, {"A": 1} if fact is Fact.COVERED else {})
        return verdict.hold if verdict else hold
    changed = turn({"o": hold}, [("o", fact)]).changed
    return changed[0] if changed else hold


def test_every_pair_has_an_outcome() -> None:
    """No fact can reach a hold that the table does not name; no outcome is idle."""
    assert set(HOLDS) == set(itertools.product(Phase, Fact))
    assert set(HOLDS.values()) == set(Outcome)


@pytest.mark.parametrize(("phase", "fact"), list(itertools.product(Phase, Fact)))
def test_a_hold_goes_where_the_table_says(phase: Phase, fact: Fact) -> None:
    """Phase, events said and payment follow from the outcome; without one that leads on nothing changes."""
    before = standing(phase)
    assert before.phase is phase
    after = tell(before, fact)
    outcome = HOLDS[phase, fact]
    assert after.phase is LEADS_TO.get(outcome, phase)
    assert after.sequence - before.sequence == (outcome in SAID)
    if outcome not in LEADS_TO:
        assert after == before
    if after.phase is Phase.CONFIRMED:
        assert after.paid


@pytest.mark.parametrize(("phase", "fact"), list(itertools.product(OVER, Fact)))
def test_an_end_is_an_end(phase: Phase, fact: Fact) -> None:
    """What was refused, given back or never began stays so, whoever pays for it later: the order was told."""
    assert HOLDS[phase, fact] not in LEADS_TO
    if fact is Fact.AUTHORIZED:
        assert HOLDS[phase, fact] is Outcome.TOO_LATE


@pytest.mark.parametrize("phase", [Phase.PREPAID, Phase.CONFIRMED])
def test_a_refusal_after_an_authorization_gives_nothing_back(phase: Phase) -> None:
    """The order keeps to payment's first word, and so does its stock; a declined capture is another matter."""
    refused = OrderUnpaid(order_id="o", reason="CARD_DECLINED")
    assert HOLDS[phase, refused.fact] is Outcome.CONTRADICTED
    assert OrderUnpaid(order_id="o").fact is Fact.DECLINED
    lost = OrderUnpaid(order_id="o", reason=CAPTURE_DECLINED)
    assert HOLDS[phase, lost.fact] in LEADS_TO


lines = st.lists(st.tuples(st.sampled_from(SKUS), st.integers(1, 5)), min_size=1, max_size=6)
shelves = st.dictionaries(st.sampled_from(SKUS), st.integers(0, 12))


@given(st.lists(lines, max_size=20), shelves, st.data())
def test_never_oversold(baskets: list[list[tuple[str, int]]], shelf: dict[str, int], data: st.DataObject) -> None:
    """However orders come, what is held never exceeds what was there, and an order is held whole or not at all."""
    orders = [order(f"o{number}", *basket) for number, basket in enumerate(baskets)]
    holds = {each.order_id: Hold(each.order_id, paid=data.draw(st.booleans())) for each in orders}
    verdicts = allocate(orders, holds, shelf)
    held = dict.fromkeys(SKUS, 0)
    for each, verdict in zip(orders, verdicts, strict=True):
        assert verdict is not None
        assert verdict.lines == (each.demand() if verdict.shortage is None else {})
        for sku, quantity in verdict.lines.items():
            held[sku] += quantity
        if verdict.shortage is not None:
            assert any(quantity > shelf.get(sku, 0) - held[sku] for sku, quantity in each.demand().items())
    assert all(held[sku] <= shelf.get(sku, 0) for sku in SKUS)
    stock = {sku: Stock(sku, available, 0) for sku, available in shelf.items()}
    unpaid = [v for v in verdicts if v and v.hold.state is HoldState.HELD]
    after = {each.sku: each for each in take(stock, [verdict for verdict in verdicts if verdict])}
    for sku, now in after.items():
        assert now.available == shelf[sku] - held[sku]
        assert now.reserved == sum(verdict.lines.get(sku, 0) for verdict in unpaid)


def test_ten_buyers_of_five_units() -> None:
    """Ten orders of one unit each, five on the shelf: the first five by arrival get it, five are refused by name."""
    orders = [order(f"o{number}", ("A", 1)) for number in range(10)]
    verdicts = allocate(orders, fresh(*orders), {"A": 5})
    states = [verdict.hold.state for verdict in verdicts if verdict]
    assert states == [HoldState.HELD] * 5 + [HoldState.REFUSED] * 5
    assert verdicts[5] is not None
    assert verdicts[5].shortage == "OUT_OF_STOCK: sku A: 1 wanted, 0 available"


def test_lines_of_one_sku_are_merged() -> None:
    """Two lines of three are six, which five cannot serve."""
    one = order("o", ("A", 3), ("A", 3))
    [verdict] = allocate([one], fresh(one), {"A": 5})
    assert verdict is not None
    assert verdict.hold.state is HoldState.REFUSED
    [verdict] = allocate([one], fresh(one), {"A": 6})
    assert verdict is not None
    assert verdict.lines == {"A": 6}


def test_a_refused_order_leaves_its_other_lines_to_the_next() -> None:
    """All lines or none: what a refused order did not take serves the order behind it."""
    greedy, modest = order("o1", ("A", 1), ("B", 9)), order("o2", ("A", 1))
    first, second = allocate([greedy, modest], fresh(greedy, modest), {"A": 1, "B": 1})
    assert first is not None
    assert second is not None
    assert (first.hold.state, second.hold.state) == (HoldState.REFUSED, HoldState.HELD)


def test_an_unknown_sku_is_one_there_is_none_of() -> None:
    """A SKU nobody put on the shelf refuses the order and is named."""
    one = order("o", ("GHOST", 1))
    [verdict] = allocate([one], fresh(one), {})
    assert verdict is not None
    assert verdict.shortage == "OUT_OF_STOCK: sku GHOST: 1 wanted, 0 available"


def test_an_order_is_judged_once() -> None:
    """The same order twice in a batch, or after its verdict, says nothing more."""
    one = order("o", ("A", 1))
    first, second = allocate([one, one], fresh(one), {"A": 5})
    assert first is not None
    assert second is None
    for state in set(HoldState) - {HoldState.AWAITED}:
        assert allocate([one], {"o": Hold("o", state)}, {"A": 5}) == [None]


def test_a_payment_that_came_first_confirms_at_once() -> None:
    """An order whose payment overtook it is CONFIRMED when it comes and never counts as reserved."""
    one = order("o", ("A", 2))
    [verdict] = allocate([one], {"o": tell(Hold("o"), Fact.AUTHORIZED)}, {"A": 2})
    assert verdict is not None
    assert verdict.hold.state is HoldState.CONFIRMED
    assert take({"A": Stock("A", 2, 0)}, [verdict]) == [Stock("A", 0, 0)]


def _run(story: Sequence[Fact]) -> list[Hold]:
    """An order's life under a delivery order of facts."""
    lives = [Hold("o")]
    for fact in story:
        lives.append(tell(lives[-1], fact))
    return lives


@pytest.mark.parametrize("end", [Fact.ENDED, Fact.CAPTURE_DECLINED])
def test_an_ended_order_holds_nothing_whatever_came_first(end: Fact) -> None:
    """Every delivery order of created, paid and ended leaves nothing held."""
    for story in itertools.permutations([Fact.COVERED, Fact.AUTHORIZED, end]):
        assert _run(story)[-1].state in {HoldState.RELEASED, HoldState.ENDED}, story


@pytest.mark.parametrize("story", list(itertools.permutations([Fact.COVERED, Fact.AUTHORIZED, Fact.OVERDUE])))
def test_a_paid_order_expires_only_before_its_payment_is_heard(story: Sequence[Fact]) -> None:
    """Expiry takes a hold only where created was heard and paid was not."""
    unpaid = story.index(Fact.COVERED) < story.index(Fact.OVERDUE) < story.index(Fact.AUTHORIZED)
    assert _run(story)[-1].state is (HoldState.EXPIRED if unpaid else HoldState.CONFIRMED)


@given(st.lists(st.sampled_from(Fact), max_size=12))
def test_stock_leaves_once_and_returns_once(story: list[Fact]) -> None:
    """In any stream of repeats, stock is taken at most once and given back at most once."""
    taken = returned = 0
    for before, after in itertools.pairwise(_run(story)):
        holding = before.state in {HoldState.HELD, HoldState.CONFIRMED}
        holds = after.state in {HoldState.HELD, HoldState.CONFIRMED}
        taken += holds and not holding
        returned += holding and not holds
    assert returned <= taken <= 1


@pytest.mark.parametrize(("phase", "fact"), list(itertools.product(Phase, LATER)))
def test_a_fact_told_twice_is_a_fact_told_once(phase: Phase, fact: Fact) -> None:
    """Repeats inside one batch need no care of their own."""
    once, twice = (turn({"o": standing(phase)}, [("o", fact)] * times) for times in (1, 2))
    assert once == twice


@pytest.mark.parametrize(
    ("fact", "state", "moves"),
    [
        (Fact.AUTHORIZED, HoldState.HELD, ("confirm",)),
        (Fact.DECLINED, HoldState.HELD, ("release",)),
        (Fact.ENDED, HoldState.HELD, ("release",)),
        (Fact.ENDED, HoldState.CONFIRMED, ("restock",)),
        (Fact.CAPTURE_DECLINED, HoldState.CONFIRMED, ("restock",)),
        (Fact.DECLINED, HoldState.CONFIRMED, ()),
        (Fact.OVERDUE, HoldState.HELD, ("release",)),
        (Fact.OVERDUE, HoldState.CONFIRMED, ()),
        (Fact.AUTHORIZED, HoldState.RELEASED, ()),
        (Fact.AUTHORIZED, HoldState.AWAITED, ()),
        (Fact.ENDED, HoldState.AWAITED, ()),
        (Fact.ENDED, HoldState.REFUSED, ()),
    ],
)
def test_which_way_stock_moves(fact: Fact, state: HoldState, moves: tuple[str, ...]) -> None:
    """Each transition moves the order's reservations one way, or not at all."""
    result = turn({"o": Hold("o", state)}, [("o", fact)])
    for way in ("confirm", "release", "restock"):
        assert list(getattr(result, way)) == (["o"] if way in moves else [])
    assert result.moves_stock == bool(moves)


@pytest.mark.parametrize(
    "payload",
    [
        '{"orderId": "o", "items": []}',
        '{"orderId": "o", "items": [{"sku": "A", "quantity": 0}]}',
        '{"orderId": "o", "items": [{"sku": "A", "quantity": 1.5}]}',
        '{"orderId": "o", "items": [{"sku": "A", "quantity": 2147483648}]}',
        '{"orderId": "o", "items": [{"sku": "", "quantity": 1}]}',
        '{"orderId": "", "items": [{"sku": "A", "quantity": 1}]}',
        '{"orderId": null, "items": [{"sku": "A", "quantity": 1}]}',
        '{"items": [{"sku": "A", "quantity": 1}]}',
    ],
)
def test_an_order_that_cannot_be_read_is_refused(payload: str) -> None:
    """What the narrow Struct does not accept becomes a dead letter, and never a reservation."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(payload, type=OrderLines)


def test_a_foreign_order_needs_no_more_than_its_lines() -> None:
    """Payload {orderId, items: [{sku, quantity}]} is enough; unknown fields are ignored."""
    payload = '{"orderId": "o", "x": 1, "items": [{"sku": "A", "quantity": 1, "unitPrice": null}]}'
    assert msgspec.json.decode(payload, type=OrderLines) == order("o", ("A", 1))
