"""Restocking, hands and orders at once: the ledger balances in every interleaving, and nobody waits in a circle."""

from __future__ import annotations

import asyncio
import random

import pytest

from dovecote.database import Database
from dovecote.events import Cause
from dovecote.sql import Sql
from dovecote.testing import eventually
from ecom.inventory import store
from ecom.inventory.domain import Status
from ecom.inventory.manual import Refusal
from ecom.inventory.manual_store import end_reservations
from ecom.inventory.store import Terms
from tests.inventory.stories import (
    WAITING,
    OrderCancelled,
    OrderPaid,
    broken,
    hear,
    holds,
    levels,
    order,
    shelve,
    until_waiting,
)

DEADLOCKS = Sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
LEDGER = Sql("SELECT sku, sum(delta)::bigint AS units FROM stock_movement GROUP BY sku ORDER BY sku")
LOCK_STOCK = Sql("SELECT 1 FROM stock WHERE sku = 'S' FOR UPDATE")


@pytest.mark.parametrize("event", [OrderPaid, OrderCancelled])
async def test_a_hand_on_an_orders_line_waits_for_nobody_in_a_circle(
    database: Database, terms: Terms, event: type[OrderPaid | OrderCancelled]
) -> None:
    """G15: who asks to end an order's line by hand is refused, and the order goes on: no lock is taken backwards."""
    await shelve(database, S=5)
    await hear(database, terms, order("o", S=2))
    before = await database.fetchval(DEADLOCKS)
    async with database.transaction("work") as holder:
        await holder.fetchval(LOCK_STOCK)  # both must wait here, or not at all
        handler = asyncio.create_task(hear(database, terms, event(order_id="o")))
        await until_waiting(database, 1)

        async def by_hand() -> object:
            async with database.transaction() as tx:
                return await end_reservations(tx, ["o:S"], Status.RELEASED)

        hand = asyncio.create_task(by_hand())

        async def refused_or_waits() -> bool:
            return hand.done() or bool(await holder.fetchval(WAITING) >= 2)

        await eventually(refused_or_waits)
    await handler
    assert await hand == [Refusal.OF_AN_ORDER]
    assert await database.fetchval(DEADLOCKS) == before
    assert await holds(database) == {"o": "CONFIRMED" if event is OrderPaid else "RELEASED"}
    assert await broken(database) == []


@pytest.mark.parametrize("seed", range(6))
async def test_restocking_while_orders_come_and_go_balances(database: Database, terms: Terms, seed: int) -> None:
    """G17: levels set by hand beside batches that hold, confirm and give back: counts and ledger agree at the end.

    The ledger is what exists: available, reserved and confirmed units of a SKU are its movements' sum, whatever the
    order in which a level was set and units were promised.
    """
    dice = random.Random(seed)
    skus = [f"S{number}" for number in range(4)]
    await shelve(database, **dict.fromkeys(skus, 30))
    before = await database.fetchval(DEADLOCKS)

    async def restock() -> None:
        for _ in range(5):
            lines = [(sku, dice.randint(0, 40)) for sku in dice.sample(skus, 3)]
            async with database.transaction() as tx:
                await store.put_stock(tx, lines, because=Cause("0" * 32))

    async def sell(batch: int) -> None:
        orders = [order(f"o{batch}-{n}", **{sku: dice.randint(1, 3) for sku in dice.sample(skus, 2)}) for n in range(8)]
        await hear(database, terms, *orders)
        ids = [each.order_id for each in orders]
        dice.shuffle(ids)
        await hear(database, terms, *[OrderPaid(order_id=each) for each in ids[:5]], lane="work")
        await hear(database, terms, *[OrderCancelled(order_id=each) for each in ids[3:7]], lane="work")

    await asyncio.gather(restock(), restock(), *(sell(batch) for batch in range(4)))
    assert await database.fetchval(DEADLOCKS) == before
    assert await broken(database) == []
    ended = await holds(database)
    await hear(database, terms, *[OrderCancelled(order_id=each) for each in ended])
    assert await broken(database) == []
    stock = dict(zip(skus, await levels(database, *skus), strict=True))
    assert {row["sku"]: (row["units"], 0) for row in await database.fetch(LEDGER)} == stock
