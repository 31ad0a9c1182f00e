"""A stock row beside a transaction that nobody ends: found as cheaply as at first, and never an older one of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from dovecote.database import Database
from dovecote.events import Cause
from dovecote.sql import Sql
from ecom.inventory import store
from ecom.inventory.domain import Stock
from tests.inventory.stories import levels, shelve, until_waiting

SKUS = [f"S{number}" for number in range(100)]
CHANGES = 110
# For a row that was changed so often and written to another page each time. Nearly a generation of it is walked.
PAGES_MAX = 25
ROWS = Sql("SELECT count(*) FROM stock")


def explained(sql: Sql) -> Sql:
    """The statement, carried out and accounted for."""
    return Sql(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {sql.text}")


async def pages(database: Database, sql: Sql, *args: Any) -> int:
    """Pages that a statement touched."""
    async with database.transaction() as tx:
        [plan] = json.loads(await tx.fetchval(explained(sql), *args))
    top = plan["Plan"]
    return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])


@asynccontextmanager
async def forgotten(database: Database) -> AsyncIterator[None]:
    """A transaction that stays open, with a snapshot and an id."""
    connection = await database.direct()
    try:
        async with connection.transaction(isolation="repeatable_read"):
            await connection.fetchval("SELECT pg_current_xact_id()::text")
            yield
    finally:
        await connection.close()


async def test_a_row_changed_a_hundred_times_is_found_on_a_few_pages(database: Database) -> None:
    """All that it has been is kept for the older transaction, and nobody else walks it."""
    await shelve(database, **dict.fromkeys(SKUS, 1000))
    unmoved = [0] * len(SKUS)
    async with forgotten(database):
        for level in range(CHANGES):
            await shelve(database, **dict.fromkeys(SKUS, level))
        locked = await pages(database, store.LOCK_STOCK, SKUS)
        moved = await pages(database, store.MOVE_STOCK, SKUS, unmoved, unmoved, database.now)
    assert locked < PAGES_MAX * len(SKUS)
    assert moved < PAGES_MAX * len(SKUS)
    assert await levels(database, *SKUS) == [(CHANGES - 1, 0)] * len(SKUS)


async def test_who_waits_for_a_row_gets_the_last_of_it(database: Database) -> None:
    """It has moved on by several generations meanwhile; the one that was found first is not the one that is changed."""
    await shelve(database, A=1, B=1)

    async def take_one() -> None:
        async with database.transaction("work") as tx:
            before = await store.lock_stock(tx, ["B", "A"])
            await store.move_stock(tx, before, [each.moved(available=-1) for each in before.values()])

    async with database.transaction() as tx:
        before = await store.lock_stock(tx, ["A"])
        for _ in range(50):
            after = {"A": before["A"].moved(available=1)}
            await store.move_stock(tx, before, list(after.values()))
            before = after
        waits = asyncio.create_task(take_one())
        await until_waiting(database, 1)
    await waits
    assert await levels(database, "A", "B") == [(50, 0), (0, 0)]


async def test_a_sku_has_one_row_whoever_puts_it_on_stock_first(database: Database) -> None:
    """Two at once, one of them late by more than a generation of changes: one row, and the later level stands."""
    late = asyncio.Event()

    async def second() -> list[Stock]:
        async with database.transaction("work") as tx:
            await tx.fetchval(ROWS)
            late.set()
            return await store.put_stock(tx, [("A", 7)], because=Cause("0" * 32))

    async with database.transaction() as tx:
        await store.put_stock(tx, [("A", 1)], because=Cause("0" * 32))
        waits = asyncio.create_task(second())
        await late.wait()
        await until_waiting(database, 1)
        for level in range(40):
            await store.put_stock(tx, [("A", level)], because=Cause("0" * 32))
    assert await waits == [Stock("A", 7, 0)]
    assert await database.fetchval(ROWS) == 1
    assert await levels(database, "A") == [(7, 0)]
