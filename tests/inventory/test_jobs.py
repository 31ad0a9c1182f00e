"""What runs out: unpaid reservations of orders and of hands, memories that nobody will ask for."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from dovecote.database import Database
from dovecote.schedule import JobContext
from dovecote.sql import Sql
from ecom.inventory.jobs import expire_by_hand, expire_orders, forget_lapsed
from ecom.inventory.manual import Wish
from ecom.inventory.manual_store import reserve_by_hand
from ecom.inventory.store import Terms
from tests.inventory.stories import OrderPaid, OrderTimedOut, broken, hear, holds, levels, order, said, shelve

PAST = timedelta(seconds=-1)
HANDS = Sql("SELECT reservation_id FROM reservation WHERE order_id IS NULL ORDER BY 1")


@pytest.fixture
def brief() -> Terms:
    """Everything has run out the moment it is made."""
    return Terms(reservation_ttl=PAST, memory_ttl=PAST)


def context(database: Database, lag: int = 0) -> JobContext:
    async def behind() -> int:
        return lag

    return JobContext(database, behind)


async def test_an_unpaid_hold_runs_out(database: Database, brief: Terms) -> None:
    """Stock returns, the order is told EXPIRED as its second event, a second scan finds nothing."""
    await shelve(database, A=5)
    await hear(database, brief, order("o", A=2))
    for _ in range(2):
        await expire_orders(context(database), brief, 1)
    assert await levels(database, "A") == [(5, 0)]
    assert await holds(database) == {"o": "EXPIRED"}
    reserved, expired = await said(database)
    assert (expired["event_type"], expired["sequence"]) == ("inventory.reservation.failed.v1", 2)
    envelope = msgspec.json.decode(expired["value"])
    assert envelope["payload"]["reason"] == "EXPIRED"
    assert envelope["traceId"] == msgspec.json.decode(reserved["value"])["traceId"]
    assert await broken(database) == []


async def test_a_paid_hold_never_runs_out(database: Database, brief: Terms, terms: Terms) -> None:
    """CONFIRMED stays, whenever its payment was heard; a hold within its time stays too."""
    await shelve(database, A=5)
    await hear(database, brief, order("paid", A=1))
    await hear(database, brief, OrderPaid(order_id="paid"), OrderPaid(order_id="early"))
    await hear(database, brief, order("early", A=1))
    await hear(database, terms, order("young", A=1))
    await expire_orders(context(database), brief, 100)
    assert await holds(database) == {"early": "CONFIRMED", "paid": "CONFIRMED", "young": "HELD"}
    assert await broken(database) == []


async def test_nothing_runs_out_while_events_wait(database: Database, brief: Terms) -> None:
    """With a backlog the payment may already stand in the queue: the scan waits."""
    await shelve(database, A=5)
    await hear(database, brief, order("o", A=2))
    await expire_orders(context(database, lag=1), brief, 100)
    assert await holds(database) == {"o": "HELD"}


async def test_many_run_out_in_batches(database: Database, brief: Terms) -> None:
    """More than one batch is due: one run takes them all."""
    await shelve(database, A=25)
    await hear(database, brief, *(order(f"o{number}", A=1) for number in range(25)))
    await expire_orders(context(database), brief, 10)
    assert await levels(database, "A") == [(25, 0)]
    assert await broken(database) == []


async def test_a_reservation_by_hand_runs_out_without_a_word(database: Database) -> None:
    """It is released, says nothing, and is deleted when it is old; one within its time stays."""
    await shelve(database, A=5)
    async with database.transaction() as tx:
        await reserve_by_hand(tx, [Wish("old", "A", 2, PAST), Wish("young", "A", 1, timedelta(minutes=1))])
    await expire_by_hand(context(database, lag=9), 100)
    assert await levels(database, "A") == [(4, 1)]
    assert await said(database) == []
    await forget_lapsed(context(database), Terms(reservation_ttl=PAST, memory_ttl=PAST))
    assert [row["reservation_id"] for row in await database.fetch(HANDS)] == ["young"]


async def test_memories_are_forgotten_and_holds_are_not(database: Database, brief: Terms, terms: Terms) -> None:
    """A tombstone and a payment whose order never came go when their time has come; all else stays."""
    await shelve(database, A=5)
    await hear(database, brief, OrderTimedOut(order_id="ended"))
    await hear(database, brief, OrderPaid(order_id="awaited"))
    await hear(database, terms, OrderTimedOut(order_id="ended-lately"))
    await hear(database, brief, order("held", A=1))
    await forget_lapsed(context(database), brief)
    assert await holds(database) == {"ended-lately": "ENDED", "held": "HELD"}
