"""Events on a real database: one notification for one event, and news that come before their order wait for it."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from dovecote.database import Database
from dovecote.schedule import JobContext
from ecom.notification.domain import (
    OrderConfirmed,
    OrderPlaced,
    OrderTimedOut,
    PaymentAuthorized,
    PaymentFailed,
)
from ecom.notification.jobs import forget_awaited, send_overdue
from ecom.notification.letters import Letters
from tests.notification.stories import INTENTS, WAITING, delivery, hear, notifications

NOW = timedelta()


def placed(order_id: str = "o", user_id: int = 7, email: str | None = None) -> OrderPlaced:
    return OrderPlaced(order_id=order_id, user_id=user_id, email=email, total_amount=Decimal("12.50"), currency="EUR")


async def test_one_mail_for_one_event(database: Database, letters: Letters) -> None:
    """Each event of an order makes one PENDING notification and one intent; the same event again makes none."""
    first = delivery(placed(email="ann@example.org"))
    await hear(database, letters, first)
    await hear(database, letters, first)
    await hear(database, letters, PaymentAuthorized(order_id="o"), PaymentAuthorized(order_id="o"))
    rows = await notifications(database)
    assert [row["event_type"] for row in rows] == ["order.created.v1"] + ["payment.authorized.v1"] * 2
    assert {row["recipient_email"] for row in rows} == {"ann@example.org"}
    assert {row["user_id"] for row in rows} == {7}
    assert rows[0]["source_topic"] == "topic-of-order.created.v1"
    assert "12.50 EUR" in rows[0]["body"]
    intents = {row["subject"]: row["status"] for row in await database.fetch(INTENTS)}
    assert intents == {str(row["event_id"]): "PENDING" for row in rows}


@pytest.mark.parametrize("story", list(itertools.permutations(["placed", "paid", "confirmed"])))
async def test_every_order_of_events_writes_the_same_mails(
    database: Database, letters: Letters, story: tuple[str, ...]
) -> None:
    """Whatever comes first, each event is written once, to the order's own address."""
    events = {
        "placed": placed(email="ann@example.org"),
        "paid": PaymentAuthorized(order_id="o"),
        "confirmed": OrderConfirmed(order_id="o", user_id=7),
    }
    for number, name in enumerate(story):
        await hear(database, letters, events[name])
        written = number + 1 if "placed" in story[: number + 1] else 0
        assert len(await notifications(database)) == written
        assert len(await database.fetch(WAITING)) == number + 1 - written
    rows = await notifications(database)
    assert {row["recipient_email"] for row in rows} == {"ann@example.org"}
    assert len({row["event_type"] for row in rows}) == 3


async def test_news_and_its_order_at_once_do_not_miss_each_other(database: Database, letters: Letters) -> None:
    """order.created and payment.authorized of many orders in transactions at the same time: nothing stays waiting."""
    ids = [f"o{number}" for number in range(60)]
    batches = [ids[start : start + 20] for start in (0, 20, 40)]

    async def hear_in(lane: str, events: list[OrderPlaced] | list[PaymentAuthorized]) -> None:
        await hear(database, letters, *events, lane=lane)

    await asyncio.gather(
        *(hear_in("api", [placed(each) for each in batch]) for batch in batches),
        *(hear_in("work", [PaymentAuthorized(order_id=each) for each in reversed(batch)]) for batch in batches),
    )
    assert await database.fetch(WAITING) == []
    assert len(await notifications(database)) == 120


async def test_news_that_waits_too_long_goes_to_the_users_address(database: Database, letters: Letters) -> None:
    """Where order.created does not come, news that says whose it is goes out; the rest waits, then is forgotten."""

    async def no_lag() -> int:
        return 0

    async def behind() -> int:
        return 3

    await hear(database, letters, OrderTimedOut(order_id="o", user_id=9))
    await hear(database, letters, PaymentFailed(order_id="o", reason="DECLINED"))
    await send_overdue(JobContext(database, no_lag), letters, timedelta(hours=1))
    await send_overdue(JobContext(database, behind), letters, NOW)
    assert await notifications(database) == []
    await send_overdue(JobContext(database, no_lag), letters, NOW)
    [row] = await notifications(database)
    assert (row["event_type"], row["recipient_email"]) == ("order.timed-out.v1", "user9@example.local")
    assert len(await database.fetch(WAITING)) == 1
    await forget_awaited(JobContext(database, no_lag), NOW)
    assert await database.fetch(WAITING) == []


async def test_the_first_of_two_owners_is_remembered(database: Database, letters: Letters) -> None:
    """Two order.created of one order with other eventIds: later news goes to the first address."""
    await hear(database, letters, delivery(placed(email="a@example.org"), event_id=uuid4()))
    await hear(database, letters, delivery(placed(email="b@example.org"), event_id=uuid4()))
    await hear(database, letters, OrderConfirmed(order_id="o"))
    assert (await notifications(database))[-1]["recipient_email"] == "a@example.org"
