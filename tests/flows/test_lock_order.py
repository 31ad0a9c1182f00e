"""Two transactions about the same rows: the second waits for the first, and never each for the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from dovecote.database import Database
from dovecote.schedule import JobContext
from dovecote.sql import Sql
from dovecote.testing import eventually
from ecom.notification import service as notification
from ecom.notification.domain import OrderConfirmed, OrderPlaced, PaymentAuthorized
from ecom.notification.jobs import forget_awaited, send_overdue
from ecom.notification.letters import Letters
from ecom.payment import service as payment
from tests.notification import stories as mails
from tests.payment.stories import PaymentDesk, confirmed, ends, new_order_id, placed
from tests.provider.processes import ProviderProcess
from tests.slate import clean_slate

DEADLOCKS = Sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
LOCK_PAYMENT = Sql("SELECT 1 FROM payment WHERE order_id = $1 FOR UPDATE")
WAITING = Sql("""
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
""")
OWED = Sql("""
    SELECT (SELECT count(*) FROM notification) AS written, (SELECT count(*) FROM waiting_news) AS waiting
""")


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProviderProcess]:
    """A payment provider with a book of its own."""
    process = ProviderProcess(tmp_path_factory.mktemp("provider"), late_seconds=1.5).start()
    yield process
    process.stop()


@pytest.fixture
async def desks(module_database_url: str, provider: ProviderProcess) -> AsyncIterator[tuple[PaymentDesk, PaymentDesk]]:
    """Two processes of the payment service on one database."""
    names = {"name": payment.NAME, "schema": payment.SCHEMA}
    async with (
        clean_slate(module_database_url, **names) as one,
        clean_slate(module_database_url, **names, empty=()) as two,
    ):
        yield PaymentDesk(one, provider), PaymentDesk(two, provider)


@pytest.mark.parametrize("first", ["capture", "void"])
async def test_capture_and_void_at_once(desks: tuple[PaymentDesk, PaymentDesk], first: str) -> None:
    """G11: confirmed and cancelled wait for one payment's row, in either order: it is never both taken and let go."""
    one, two = desks
    order_id = new_order_id()
    await one.hear(placed(order_id))
    await one.settle()
    assert await one.stage(order_id) == "AUTHORIZED"
    news = {"capture": confirmed(order_id), "void": ends(order_id)[0]}
    async with one.database.transaction("work") as holder:
        await holder.fetchval(LOCK_PAYMENT, order_id)
        leading = asyncio.create_task(one.hear(news[first]))
        await until_waiting(one.database, 1)
        trailing = asyncio.create_task(two.hear(news["void" if first == "capture" else "capture"]))
        await until_waiting(one.database, 2)
    await asyncio.gather(leading, trailing)
    await one.settle()
    assert one.held_minor(order_id) == 0
    asked = one.book(order_id)
    if first == "void":
        assert (asked, await one.stage(order_id)) == (["authorize", "void"], "VOIDED")
    else:
        assert (asked, await one.stage(order_id)) == (["authorize", "capture", "refund"], "REFUNDED")
    assert "void" not in asked or "capture" not in asked


async def test_many_captures_and_voids_at_once(desks: tuple[PaymentDesk, PaymentDesk]) -> None:
    """G11, G15: batches in opposite orders from two processes: one road a payment, no money left, no deadlock."""
    one, two = desks
    before = await one.database.fetchval(DEADLOCKS)
    orders = [new_order_id() for _ in range(30)]
    await one.hear(*[placed(order_id) for order_id in orders])
    await one.settle()
    await asyncio.gather(
        one.hear(*[confirmed(order_id) for order_id in orders]),
        two.hear(*[ends(order_id)[0] for order_id in reversed(orders)]),
        two.hear(*[ends(order_id)[1] for order_id in orders[::2]]),
    )
    await one.settle()
    assert await one.database.fetchval(DEADLOCKS) == before
    for order_id in orders:
        assert one.held_minor(order_id) == 0
        assert one.book(order_id) in (["authorize", "void"], ["authorize", "capture", "refund"])


async def test_news_and_orders_in_opposite_batches(module_database_url: str) -> None:
    """G15: notification hears orders and their news in opposite orders, its jobs beside it: no deadlock, all told."""
    letters = Letters.load()
    ids = [f"o{number:02}" for number in range(40)]
    orders = [OrderPlaced(order_id=each, user_id=7, total_amount=Decimal("1.00"), currency="EUR") for each in ids]
    async with clean_slate(module_database_url, name=notification.NAME, schema=notification.SCHEMA) as database:
        before = await database.fetchval(DEADLOCKS)

        async def lag() -> int:
            return 0

        context = JobContext(database, lag)
        await asyncio.gather(
            mails.hear(database, letters, *orders),
            mails.hear(database, letters, *[PaymentAuthorized(order_id=each) for each in reversed(ids)], lane="api"),
            mails.hear(database, letters, *[OrderConfirmed(order_id=each) for each in ids], lane="api"),
            mails.hear(database, letters, *[OrderConfirmed(order_id=each) for each in ids[::-2]], lane="work"),
            send_overdue(context, letters, waiting_max=timedelta(0)),
            forget_awaited(context, timedelta(days=1)),
        )
        assert await database.fetchval(DEADLOCKS) == before
        row = await database.fetchrow(OWED)
        assert row is not None
        assert (row["written"], row["waiting"]) == (140, 0)


async def until_waiting(database: Database, sessions: int) -> None:
    """Wait until so many sessions wait for a lock."""

    async def there() -> bool:
        return bool(await database.fetchval(WAITING) >= sessions)

    await eventually(there, what=f"{sessions} sessions wait")
