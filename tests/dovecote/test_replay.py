"""FAILED events once more: many operators at once, and a relay that blocks successors in the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg
from structlog.testing import capture_logs

from dovecote.database import Database
from dovecote.marks import MARK_BLOCKED
from dovecote.outbox import replay_failed
from dovecote.sql import Sql
from dovecote.testing import eventually
from tests.dovecote import sample
from tests.dovecote.sample import outbox, tell

FAIL = Sql("UPDATE outbox_event_record SET status = 'FAILED', last_error = 'planted' WHERE id = ANY($1::bigint[])")
WAITING = Sql("""
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
""")


@asynccontextmanager
async def beside(url: str) -> AsyncIterator[Any]:
    """A connection of the test's own in the service's schema."""
    connection = await asyncpg.connect(url, server_settings={"search_path": sample.NOTES_SCHEMA})
    try:
        yield connection
    finally:
        await connection.close()


async def stuck(database: Database) -> tuple[int, int]:
    """A FAILED record, and the PENDING one of its aggregate that comes after it."""
    async with database.transaction() as tx:
        await tell(tx, "n")
        await tell(tx, "n")
    first, second = [row["id"] for row in await outbox(database)]
    async with database.transaction() as tx:
        await tx.execute(FAIL, [first])
    return first, second


async def until_waiting(database: Database, sessions: int) -> None:
    """Wait until so many sessions wait for a lock."""

    async def there() -> bool:
        return bool(await database.fetchval(WAITING) >= sessions)

    await eventually(there, what=f"{sessions} sessions wait")


async def free(database: Database) -> set[tuple[str, int | None]]:
    """How all records stand."""
    return {(row["status"], row["blocked_by"]) for row in await outbox(database)}


async def test_fifty_operators_set_each_record_back_once(sample_url: str, notes: Database) -> None:
    """O14: fifty calls at once in ten pools: every record once, in one answer, and the log says on whose word."""
    async with notes.transaction() as tx:
        for number in range(120):
            await tell(tx, f"n{number}")
    async with notes.transaction() as tx:
        await tx.execute(FAIL, [row["id"] for row in await outbox(notes)])
    async with AsyncExitStack() as stack:
        databases = [await stack.enter_async_context(sample.connected(sample_url)) for _ in range(10)]
        with capture_logs() as lines:
            counts = await asyncio.gather(
                *(replay_failed(databases[n % 10], limit=7, actor=f"operator {n}") for n in range(50))
            )
    assert sum(counts) == 120
    assert counts.count(0) == 50 - 18, "120 records, seven an operator: all the others get nothing"
    told = {line["actor"]: line["records"] for line in lines if line["event"] == "outbox records replayed"}
    assert {f"operator {n}": count for n, count in enumerate(counts) if count} == {
        actor: len(records) for actor, records in told.items()
    }
    assert sorted(record for records in told.values() for record in records) == [
        row["id"] for row in await outbox(notes)
    ]
    assert await free(notes) == {("PENDING", None)}


async def test_what_was_blocked_while_a_replay_waited_is_freed(sample_url: str, notes: Database) -> None:
    """O13, O14: a successor blocked after the replay began and before it had its record is freed like the others."""
    first, second = await stuck(notes)
    async with beside(sample_url) as relay:
        async with relay.transaction():
            await relay.execute("SELECT 1 FROM outbox_event_record WHERE id = $1 FOR SHARE", first)
            replay = asyncio.create_task(replay_failed(notes))
            await until_waiting(notes, 1)
            await relay.execute("UPDATE outbox_event_record SET blocked_by = $1 WHERE id = $2", first, second)
        assert await replay == 1
    assert await free(notes) == {("PENDING", None)}


async def test_a_relay_never_blocks_a_successor_behind_a_replayed_record(sample_url: str, notes: Database) -> None:
    """O13, O14: the relay's mark that began before a replay does not leave a record waiting for ever behind it."""
    first, second = await stuck(notes)
    async with beside(sample_url) as other, beside(sample_url) as relay:
        async with other.transaction():
            await other.execute("SELECT 1 FROM outbox_event_record WHERE id = $1 FOR UPDATE", second)
            mark = asyncio.create_task(relay.execute(MARK_BLOCKED.text, [second], [first]))
            await until_waiting(notes, 1)  # it has seen the first FAILED, and waits for the second
            replay = asyncio.create_task(replay_failed(notes))

            async def replayed() -> bool:
                return replay.done() or bool(await other.fetchval(WAITING.text) >= 2)

            await eventually(replayed)
        await asyncio.gather(mark, replay)
    assert await free(notes) == {("PENDING", None)}
