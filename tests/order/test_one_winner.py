"""A customer's second thought against the answer that confirms: each order has one history, each caller one answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from dovecote.database import Database
from dovecote.sql import Sql
from dovecote.testing import eventually
from ecom.order import service
from ecom.order.domain import PaymentWasAuthorized, StockIsLacking, StockWasReserved
from ecom.web.application import application
from tests.order.stories import OrderShop

ORDERS = 12
CANCELS = 3
DEADLOCKS = Sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
LOCK = Sql("SELECT 1 FROM orders WHERE id = $1 FOR UPDATE")
WAITING = Sql("""
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
""")
HISTORY = Sql("SELECT from_status, to_status FROM order_transition WHERE order_id = $1 ORDER BY sequence")


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """The service's routes in the shop's application."""
    transport = httpx.ASGITransport(app=application([(service.build({}), database)], name="order-service"))
    async with httpx.AsyncClient(transport=transport, base_url="http://order.example") as client:
        yield client


async def history(database: Database, order_id: str) -> list[tuple[str, str]]:
    """How an order came to where it is."""
    return [(row["from_status"], row["to_status"]) for row in await database.fetch(HISTORY, order_id)]


async def until_waiting(database: Database, sessions: int) -> None:
    """Wait until so many sessions wait for a lock."""

    async def there() -> bool:
        return bool(await database.fetchval(WAITING) >= sessions)

    await eventually(there, what=f"{sessions} sessions wait")


async def test_a_cancel_and_the_last_answer_at_once(shop: OrderShop, client: httpx.AsyncClient) -> None:
    """G20: of three cancels beside the answer that confirms one gets 200, the others 409; no history is forbidden."""
    before = await shop.database.fetchval(DEADLOCKS)
    ids = [order.id for order in await shop.place(ORDERS)]
    await shop.hear(*(PaymentWasAuthorized(order_id=order_id) for order_id in ids))
    cancels, asked, _ = await asyncio.gather(
        asyncio.gather(*(client.post(f"/api/orders/{order_id}/cancel") for order_id in ids for _ in range(CANCELS))),
        asyncio.gather(*(client.post(f"/api/orders/{order_id}/confirm") for order_id in ids)),
        shop.hear(*(StockWasReserved(order_id=order_id) for order_id in reversed(ids))),
    )
    assert await shop.database.fetchval(DEADLOCKS) == before
    for number, order_id in enumerate(ids):
        answers = cancels[number * CANCELS : (number + 1) * CANCELS]
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * (CANCELS - 1)
        steps = await history(shop.database, order_id)
        assert steps in (
            [("PAYMENT_PENDING", "CANCELLED")],
            [("PAYMENT_PENDING", "CONFIRMED"), ("CONFIRMED", "CANCELLED")],
        )
        assert [sequence for _, sequence in await shop.said(order_id)] == list(range(1, len(steps) + 2))
        assert asked[number].status_code in (200, 409)
        if asked[number].status_code == 200:
            assert asked[number].json()["status"] == "CONFIRMED"
            assert len(steps) == 2, "nobody was told CONFIRMED of an order that never was"


@pytest.mark.parametrize("first", ["cancel", "answer"])
@pytest.mark.parametrize("answer", [StockWasReserved, StockIsLacking])
async def test_who_has_the_order_first_decides(
    shop: OrderShop, client: httpx.AsyncClient, first: str, answer: type[StockWasReserved | StockIsLacking]
) -> None:
    """G20, forced: both wait for the row in either order, and the second finds what the first has made of it."""
    (order,) = await shop.place()
    await shop.hear(PaymentWasAuthorized(order_id=order.id))
    calls = {
        "cancel": lambda: client.post(f"/api/orders/{order.id}/cancel"),
        "answer": lambda: shop.hear(answer(order_id=order.id)),
    }
    async with shop.database.transaction("work") as holder:
        await holder.fetchval(LOCK, order.id)
        leading = asyncio.ensure_future(calls[first]())
        await until_waiting(shop.database, 1)
        second = "answer" if first == "cancel" else "cancel"
        trailing = asyncio.ensure_future(calls[second]())
        await until_waiting(shop.database, 2)
    results = {first: await leading, second: await trailing}
    cancelled = results["cancel"].status_code
    if first == "cancel":
        assert (cancelled, await history(shop.database, order.id)) == (200, [("PAYMENT_PENDING", "CANCELLED")])
    elif answer is StockWasReserved:
        sold = [("PAYMENT_PENDING", "CONFIRMED"), ("CONFIRMED", "CANCELLED")]
        assert (cancelled, await history(shop.database, order.id)) == (200, sold)
    else:
        assert (cancelled, await history(shop.database, order.id)) == (409, [("PAYMENT_PENDING", "FAILED")])
