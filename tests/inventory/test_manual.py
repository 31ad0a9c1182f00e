"""Reservations by hand, without a database: first come first served, each answered with the stock after it."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from ecom.inventory.domain import Status, Stock
from ecom.inventory.manual import Refusal, Reservation, Wish, end_by_hand, grant

TTL = timedelta(minutes=5)


@given(
    st.lists(st.tuples(st.sampled_from("rst"), st.sampled_from(["A", "B", "X"]), st.integers(1, 4)), max_size=15),
    st.integers(0, 10),
)
def test_wishes_never_oversell(wishes: list[tuple[str, str, int]], available: int) -> None:
    """Whatever is asked, what is granted fits, and an id is granted once."""
    stock = {sku: Stock(sku, available, 0) for sku in ("A", "B")}
    asked = [Wish(*wish, TTL) for wish in wishes]
    answers = grant(asked, stock, ["t"])
    granted = [wish for wish, answer in zip(asked, answers, strict=True) if isinstance(answer, Stock)]
    assert len({wish.reservation_id for wish in granted}) == len(granted)
    assert "t" not in {wish.reservation_id for wish in granted}
    for sku in ("A", "B"):
        assert sum(wish.quantity for wish in granted if wish.sku == sku) <= available


def test_each_wish_is_answered_with_the_stock_after_it() -> None:
    """Arrival order decides; a refusal names its reason and takes nothing."""
    wishes = [Wish("r1", "A", 2, TTL), Wish("r1", "A", 1, TTL), Wish("r2", "A", 9, TTL), Wish("r3", "X", 1, TTL)]
    answers = grant([*wishes, Wish("r4", "A", 1, TTL)], {"A": Stock("A", 3, 0)}, [])
    assert answers == [
        Stock("A", 1, 2),
        Refusal.EXISTS,
        Refusal.NOT_ENOUGH,
        Refusal.UNKNOWN_SKU,
        Stock("A", 0, 3),
    ]


def test_a_reservation_by_hand_ends_once() -> None:
    """Released returns to available, confirmed does not; a second end, an unknown id, an order's line: refused."""
    held = {
        "r1": Reservation("r1", None, "A", 2, Status.RESERVED),
        "r2": Reservation("r2", None, "A", 1, Status.CONFIRMED),
        "o:A": Reservation("o:A", "o", "A", 1, Status.RESERVED),
    }
    stock = {"A": Stock("A", 1, 3)}
    asked = ["r1", "r1", "r2", "o:A", "r9"]
    refused = [Refusal.NOT_RESERVED, Refusal.NOT_RESERVED, Refusal.OF_AN_ORDER, Refusal.UNKNOWN]
    assert end_by_hand(asked, Status.RELEASED, held, stock) == [Stock("A", 3, 1), *refused]
    assert end_by_hand(asked, Status.CONFIRMED, held, stock) == [Stock("A", 1, 1), *refused]
