"""Allocation and the life of a hold, without a database: nothing is oversold, every order of events ends well."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecom.inventory.domain import (
    Hold,
    HoldState,
    OrderLine,
    OrderLines,
    Stock,
    allocate,
    ended,
    expired,
    paid,
    take,
    turn,
)

SKUS = ["A", "B", "C", "D"]
STEPS: dict[str, Callable[[Hold], Hold]] = {"paid": paid, "ended": ended, "expired": expired}


def order(order_id: str, *lines: tuple[str, int]) -> OrderLines:
    return OrderLines(order_id=order_id, items=tuple(OrderLine(sku, quantity) for sku, quantity in lines))


def fresh(*orders: OrderLines) -> dict[str, Hold]:
    return {each.order_id: Hold(each.order_id) for each in orders}


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
    [verdict] = allocate([one], {"o": paid(Hold("o"))}, {"A": 2})
    assert verdict is not None
    assert verdict.hold.state is HoldState.CONFIRMED
    assert take({"A": Stock("A", 2, 0)}, [verdict]) == [Stock("A", 0, 0)]


def _run(story: tuple[str, ...]) -> list[Hold]:
    """An order's life under a delivery order of events, plenty of stock."""
    lives = [Hold("o")]
    for happening in story:
        hold = lives[-1]
        if happening == "created":
            [verdict] = allocate([order("o", ("A", 1))], {"o": hold}, {"A": 1})
            hold = verdict.hold if verdict else hold
        else:
            hold = STEPS[happening](hold)
        lives.append(hold)
    return lives


@pytest.mark.parametrize("story", list(itertools.permutations(["created", "paid", "ended"])))
def test_an_ended_order_holds_nothing_whatever_came_first(story: tuple[str, ...]) -> None:
    """Every delivery order of created, paid and ended leaves nothing held."""
    assert _run(story)[-1].state in {HoldState.RELEASED, HoldState.ENDED}


@pytest.mark.parametrize("story", list(itertools.permutations(["created", "paid", "expired"])))
def test_a_paid_order_expires_only_before_its_payment_is_heard(story: tuple[str, ...]) -> None:
    """Expiry takes a hold only where created was heard and paid was not."""
    unpaid = story.index("created") < story.index("expired") < story.index("paid")
    assert _run(story)[-1].state is (HoldState.EXPIRED if unpaid else HoldState.CONFIRMED)


@given(st.lists(st.sampled_from(["created", *STEPS]), max_size=12))
def test_stock_leaves_once_and_returns_once(story: list[str]) -> None:
    """In any stream of repeats, stock is taken at most once and given back at most once; end states are final."""
    lives = _run(tuple(story))
    taken = returned = 0
    for before, after in itertools.pairwise(lives):
        holding = before.state in {HoldState.HELD, HoldState.CONFIRMED}
        holds = after.state in {HoldState.HELD, HoldState.CONFIRMED}
        taken += holds and not holding
        returned += holding and not holds
        spoke = (before.state, after.state) in {
            (HoldState.AWAITED, HoldState.HELD),
            (HoldState.AWAITED, HoldState.CONFIRMED),
            (HoldState.HELD, HoldState.EXPIRED),
        }
        assert after.sequence - before.sequence == spoke
        if before.state in {HoldState.REFUSED, HoldState.RELEASED, HoldState.EXPIRED, HoldState.ENDED}:
            assert after == before
    assert returned <= taken <= 1


@given(st.sampled_from(list(STEPS.values())), st.builds(Hold, st.just("o"), st.sampled_from(HoldState), st.booleans()))
def test_a_step_taken_twice_is_the_step_taken_once(step: Callable[[Hold], Hold], hold: Hold) -> None:
    """Repeats inside one batch need no care of their own."""
    assert step(step(hold)) == step(hold)


@pytest.mark.parametrize(
    ("step", "state", "moves"),
    [
        (paid, HoldState.HELD, ("confirm",)),
        (ended, HoldState.HELD, ("release",)),
        (ended, HoldState.CONFIRMED, ("restock",)),
        (expired, HoldState.HELD, ("release",)),
        (expired, HoldState.CONFIRMED, ()),
        (paid, HoldState.RELEASED, ()),
        (paid, HoldState.AWAITED, ()),
        (ended, HoldState.AWAITED, ()),
        (ended, HoldState.REFUSED, ()),
    ],
)
def test_which_way_stock_moves(step: Callable[[Hold], Hold], state: HoldState, moves: tuple[str, ...]) -> None:
    """Each transition moves the order's reservations one way, or not at all."""
    result = turn({"o": Hold("o", state)}, step)
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
