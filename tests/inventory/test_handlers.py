"""Orders on a real database: whole batches, every order of events, and the counts always add up."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest

from dovecote.database import Database
from dovecote.events import Event
from dovecote.schedule import JobContext
from dovecote.sql import Sql
from ecom.contracts.payment import CAPTURE_DECLINED
from ecom.inventory.domain import Status
from ecom.inventory.jobs import expire_orders
from ecom.inventory.manual import Wish
from ecom.inventory.manual_store import end_reservations, reserve_by_hand
from ecom.inventory.store import Terms
from tests.inventory.stories import (
    OrderCancelled,
    OrderPaid,
    OrderTimedOut,
    OrderUnpaid,
    broken,
    hear,
    holds,
    levels,
    order,
    said,
    shelve,
)


async def no_lag() -> int:
    """Nothing waits to be heard."""
    return 0


DEADLOCKS = Sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")


async def test_ten_orders_for_five_units(database: Database, terms: Terms) -> None:
    """Ten orders of one unit, five on the shelf: five held, five refused, each said once, in arrival order."""
    await shelve(database, A=5)
    await hear(database, terms, *(order(f"o{number}", A=1) for number in range(10)))
    assert await levels(database, "A") == [(0, 5)]
    events = await said(database)
    assert [row["event_type"] for row in events] == ["inventory.reserved.v1"] * 5 + [
        "inventory.reservation.failed.v1"
    ] * 5
    assert [(row["key"], row["sequence"]) for row in events] == [(f"o{number}", 1) for number in range(10)]
    payload = msgspec.json.decode(events[5]["value"])["payload"]
    assert payload["reason"] == "OUT_OF_STOCK: sku A: 1 wanted, 0 available"
    assert await broken(database) == []


async def test_the_same_order_again_changes_nothing(database: Database, terms: Terms) -> None:
    """A second order.created with another eventId, in the same batch or later, has no effect."""
    await shelve(database, A=5)
    await hear(database, terms, order("o", A=2), order("o", A=2))
    await hear(database, terms, order("o", A=1))
    assert await levels(database, "A") == [(3, 2)]
    assert len(await said(database)) == 1


async def test_paid_is_confirmed_and_cancelled_returns(database: Database, terms: Terms) -> None:
    """RESERVED → CONFIRMED → RELEASED: reserved empties at payment, available refills at the cancel, once."""
    await shelve(database, A=5, B=3)
    await hear(database, terms, order("o", A=2, B=1))
    assert await levels(database, "A", "B") == [(3, 2), (2, 1)]
    await hear(database, terms, OrderPaid(order_id="o"))
    assert await levels(database, "A", "B") == [(3, 0), (2, 0)]
    assert await broken(database) == []
    await hear(database, terms, OrderCancelled(order_id="o"), OrderCancelled(order_id="o"))
    await hear(database, terms, OrderTimedOut(order_id="o"))
    await hear(database, terms, OrderUnpaid(order_id="o"))
    assert await levels(database, "A", "B") == [(5, 0), (3, 0)]
    assert await holds(database) == {"o": "RELEASED"}
    assert await broken(database) == []


@pytest.mark.parametrize(
    "ending",
    [OrderUnpaid(order_id="o", reason=CAPTURE_DECLINED), OrderCancelled(order_id="o"), OrderTimedOut(order_id="o")],
)
@pytest.mark.parametrize("story", list(itertools.permutations(["created", "paid", "ended"])))
async def test_every_delivery_order_ends_with_nothing_held(
    database: Database, terms: Terms, story: tuple[str, ...], ending: Event
) -> None:
    """Created, paid and an ending, in each of their orders: the shelf is as it was."""
    events = {"created": order("o", A=2), "paid": OrderPaid(order_id="o"), "ended": ending}
    await shelve(database, A=5)
    for happening in story:
        await hear(database, terms, events[happening])
        assert await broken(database) == []
    assert await levels(database, "A") == [(5, 0)]
    assert await holds(database) == {"o": "ENDED" if story.index("ended") < story.index("created") else "RELEASED"}


async def test_a_refusal_that_contradicts_an_authorization(database: Database, terms: Terms) -> None:
    """The order service keeps to payment's first word: stock that it counts on is not sold to somebody else."""
    await shelve(database, A=5)
    await hear(database, terms, order("sold", A=2))
    await hear(database, terms, OrderPaid(order_id="sold"), OrderPaid(order_id="awaited"))
    refused = [OrderUnpaid(order_id=each, reason="CARD_DECLINED") for each in ("sold", "awaited")]
    await hear(database, terms, *refused)
    await hear(database, terms, order("awaited", A=1))
    assert await holds(database) == {"awaited": "CONFIRMED", "sold": "CONFIRMED"}
    lost = OrderUnpaid(order_id="sold", reason=CAPTURE_DECLINED)
    await hear(database, terms, OrderUnpaid(order_id="sold"), lost)
    assert await holds(database) == {"awaited": "CONFIRMED", "sold": "RELEASED"}
    assert await levels(database, "A") == [(4, 0)]
    assert await broken(database) == []


async def test_a_payment_for_stock_that_is_gone(database: Database, terms: Terms) -> None:
    """Paid after it was refused, given back or run out: nothing is held again; the order was told and pays back."""
    await shelve(database, A=5)
    brief = Terms(reservation_ttl=timedelta(seconds=-1), memory_ttl=terms.memory_ttl)
    await hear(database, terms, order("refused", A=6))
    await hear(database, brief, order("expired", A=1))
    await hear(database, terms, order("released", A=1))
    await hear(database, terms, OrderTimedOut(order_id="released"))
    await expire_orders(JobContext(database, no_lag), brief, 10)
    said_before = len(await said(database))
    gone = ("refused", "expired", "released")
    await hear(database, terms, *(OrderPaid(order_id=each) for each in gone))
    assert await holds(database) == {each: each.upper() for each in gone}
    assert await levels(database, "A") == [(5, 0)]
    assert len(await said(database)) == said_before
    assert await broken(database) == []


async def test_a_payment_before_its_order_is_remembered(database: Database, terms: Terms) -> None:
    """payment.authorized overtakes order.created: the order is CONFIRMED when it comes, and says it is reserved."""
    await shelve(database, A=5)
    await hear(database, terms, OrderPaid(order_id="o"))
    assert await holds(database) == {"o": "AWAITED"}
    await hear(database, terms, order("o", A=2))
    assert await levels(database, "A") == [(3, 0)]
    assert await holds(database) == {"o": "CONFIRMED"}
    assert [row["event_type"] for row in await said(database)] == ["inventory.reserved.v1"]
    assert await broken(database) == []


async def test_orders_and_hands_at_once_neither_oversell_nor_deadlock(database: Database, terms: Terms) -> None:
    """Batches over shared SKUs in opposite orders, endings and payments at once: counts add up, no deadlock."""
    dice = random.Random(7)
    skus = [f"S{number}" for number in range(12)]
    await shelve(database, **dict.fromkeys(skus, 60))

    async def life(batch: int) -> None:
        baskets = [{sku: dice.randint(1, 3) for sku in dice.sample(skus, 4)} for _ in range(12)]
        orders = [order(f"o{batch}-{number}", **basket) for number, basket in enumerate(baskets)]
        steps: list[Sequence[Event]] = [
            [OrderPaid(order_id=each.order_id) for each in orders[4:]],
            orders,
            [OrderCancelled(order_id=each.order_id) for each in reversed(orders[:8])],
        ]
        for events in steps if batch % 2 else reversed(steps):
            await hear(database, terms, *events, lane="api")

    async def hand(number: int) -> None:
        wishes = [Wish(f"r{number}-{n}", dice.choice(skus), 1, timedelta(minutes=1)) for n in range(6)]
        async with database.transaction("work") as tx:
            await reserve_by_hand(tx, wishes)
        async with database.transaction("work") as tx:
            await end_reservations(tx, [wish.reservation_id for wish in reversed(wishes)], Status.RELEASED)

    before = await database.fetchval(DEADLOCKS)
    await asyncio.gather(*(life(batch) for batch in range(12)), *(hand(number) for number in range(12)))
    assert await database.fetchval(DEADLOCKS) == before
    assert await broken(database) == []
    for available, reserved in await levels(database, *skus):
        assert available >= 0
        assert reserved >= 0
