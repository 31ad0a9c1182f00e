"""The sweep looks back only to where nothing new can appear, and misses nothing that waits for longer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from dovecote import scan, term
from dovecote.database import Database
from dovecote.kafka import Admin
from dovecote.outbox import COUNT_BY_STATUS, LIST_UNSENT, records, replay_failed, unsent
from dovecote.settled import Settled
from dovecote.sql import Sql
from dovecote.testing import drained, eventually
from tests.dovecote.relays import epoch, relaying
from tests.dovecote.sample import outbox, pin, statuses, tell

SETTLED = Sql("SELECT settled_below FROM relay_leader")
BEHIND = Sql("SELECT id FROM outbox_event_record WHERE behind ORDER BY id")
HISTORY = Sql("""
    INSERT INTO outbox_event_record (event_id, event_type, topic, aggregate_type, aggregate_id, sequence, key, value,
                                     trace_id, status, attempts, created_at, sent_at, behind)
    SELECT gen_random_uuid(), 't', 't', 'note', 'n' || n, 1, 'k', 'v', '0',
           CASE n WHEN 7 THEN 'PENDING' ELSE 'SENT' END, 0, $1, CASE n WHEN 7 THEN NULL ELSE $1::timestamptz END, n = 7
      FROM generate_series(1, 100000) AS n
""")
FAIL_OLDEST = Sql("""
    UPDATE outbox_event_record SET status = 'FAILED', sent_at = NULL, last_error = 'planted'
     WHERE id = (SELECT min(id) FROM outbox_event_record)
""")
HOT = Sql("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = 'outbox_event_record'::regclass")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps ten times as often as in life."""
    monkeypatch.setattr(term, "SETTLE_SECONDS", 0.3)


async def tell_some(database: Database, *notes: str) -> None:
    """A transaction that says one event of each note."""
    async with database.transaction("work") as tx:
        for note in notes:
            await tell(tx, note)


async def settled_below(database: Database) -> int:
    """How far the outbox is settled."""
    return int(await database.fetchval(SETTLED) or 0)


async def all_settled(database: Database) -> bool:
    """Nothing of what is stored is above the line."""
    return await settled_below(database) > (await outbox(database))[-1]["id"]


async def test_sent_history_is_never_swept_again(notes: Database, bootstrap: str, topics: list[str]) -> None:
    """What has been sent is soon below the line, and the next leader begins at the line."""
    async with relaying(notes, bootstrap):
        await tell_some(notes, *(f"n{number}" for number in range(50)))
        await eventually(lambda: all_settled(notes))
    line = await settled_below(notes)
    async with relaying(notes, bootstrap):
        await eventually(lambda: _is_epoch(notes, 2))
        await tell_some(notes, "later")
        await eventually(lambda: _above(notes, line))
    assert set(await statuses(notes)) == {"SENT"}
    assert await notes.fetch(BEHIND) == []


async def _is_epoch(database: Database, number: int) -> bool:
    return await epoch(database) == number


async def _above(database: Database, line: int) -> bool:
    return await settled_below(database) > line


async def test_the_line_waits_for_whoever_writes(notes: Database, bootstrap: str, topics: list[str]) -> None:
    """O1: with an id taken and not committed the line stays below it, and the record leaves when it is committed."""
    async with relaying(notes, bootstrap):
        await eventually(lambda: epoch(notes))
        async with notes.transaction() as late:
            await tell(late, "late")
            await late.flush()
            clock, number = asyncio.get_running_loop().time, 0
            until = clock() + 1.0

            async def steps_pass() -> bool:  # none of them may reach the late record
                nonlocal number
                number += 1
                await tell_some(notes, f"n{number}")
                return clock() > until and "SENT" in await statuses(notes)

            await eventually(steps_pass)
            assert await settled_below(notes) <= 1
        await drained(notes)
        await eventually(lambda: all_settled(notes))
    assert (await outbox(notes))[0]["aggregate_id"] == "late"


async def test_what_is_committed_between_two_steps_is_settled(notes: Database) -> None:
    """A step that finds the writers of before gone moves the line over what they wrote; PENDING ones fall behind."""
    async with notes.transaction() as tx:
        await tx.execute(Sql("INSERT INTO relay_leader VALUES (true, 3, 0, $1)"), tx.now)
    connection = await notes.direct()
    try:
        line = Settled(3)
        await line.read(connection)
        await tell_some(notes, "first")
        async with notes.transaction() as late:
            await tell(late, "late")
            await late.flush()
            await tell_some(notes, "second")
            assert [await line.step(connection) for _ in range(3)] == [0, 0, 0]
            assert line.below == 0
        assert await line.step(connection) == 3
        assert line.below == (await outbox(notes))[-1]["id"] + 1 == await settled_below(notes)
        deposed = Settled(2)
        await deposed.read(connection)
        await tell_some(notes, "third")
        assert [await deposed.step(connection) for _ in range(2)] == [0, 0]
        assert await settled_below(notes) == line.below
    finally:
        await connection.close()


async def test_a_record_that_waits_for_its_topic_falls_behind_and_still_leaves(
    notes: Database, prefix: str, bootstrap: str
) -> None:
    """O12: the line passes a record whose topic is paused; made at last, the topic gets it, and its successor too."""
    told, pinned = prefix + "note.told.v1", prefix + "note.pinned.v1"
    admin = Admin(bootstrap)
    await admin.ensure_topics([told], partitions=1, replication=1)
    async with notes.transaction() as tx:
        await pin(tx, "held")
        await tell(tx, "held")
        await tell(tx, "free")
    async with relaying(notes, bootstrap):
        await eventually(lambda: _fell_behind(notes, 2))
        assert await all_settled(notes)
        assert await unsent(notes) == {"PENDING": 2}
        assert len(await records(notes, status="PENDING")) == 2
        await admin.ensure_topics([pinned], partitions=1, replication=1)
        await drained(notes)
    assert set(await statuses(notes)) == {"SENT"}
    assert await notes.fetch(BEHIND) == []
    await admin.delete_topics([told, pinned])


async def _fell_behind(database: Database, count: int) -> bool:
    return len(await database.fetch(BEHIND)) == count


async def test_a_replayed_record_below_the_line_is_sent(notes: Database, bootstrap: str, topics: list[str]) -> None:
    """O14: a record that is set back to PENDING long after the line passed it leaves at once."""
    async with relaying(notes, bootstrap):
        await tell_some(notes, "a", "b", "c")
        await drained(notes)
        await eventually(lambda: all_settled(notes))
        async with notes.transaction() as tx:
            assert await tx.execute(FAIL_OLDEST) == 1
        assert [record.aggregate_id for record in await records(notes)] == ["a"]
        assert await replay_failed(notes) == 1
        await drained(notes)
    assert await records(notes) == []


async def test_a_record_that_is_sent_stays_on_its_page(
    notes: Database, bootstrap: str, topics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """PENDING → SENT touches no index: every such update is HOT."""
    monkeypatch.setattr(term, "SETTLE_SECONDS", 600.0)
    async with relaying(notes, bootstrap):
        for first in range(0, 300, 100):
            await tell_some(notes, *(f"n{number}" for number in range(first, first + 100)))
        await drained(notes)

    async def counted() -> Any:
        row = await notes.fetchrow(HOT)  # the relay's session has ended, and its counts come with its end
        return row if row is not None and row["n_tup_upd"] >= 300 else None

    row = await eventually(counted)
    assert row["n_tup_hot_upd"] == row["n_tup_upd"] == 300


async def test_who_looks_for_what_waits_reads_no_history(notes: Database, sample_url: str) -> None:
    """With a hundred thousand SENT records below the line and an old PENDING one, each look reads a few pages."""
    async with notes.transaction() as tx:
        await tx.execute(HISTORY, tx.now)
    below = (await outbox(notes))[-1]["id"] + 1
    connection = await asyncpg.connect(sample_url, server_settings={"search_path": "notes"})
    try:
        for sql, args, found in (
            (scan.SCAN, [below, [], [], notes.now, 1000], 0),
            (scan.SWEEP, [below, [], [], notes.now, 1000], 1),
            (COUNT_BY_STATUS, [below], 1),
            (LIST_UNSENT, ["PENDING", 100, below], 1),
        ):
            if sql is COUNT_BY_STATUS:  # the scans before need no statistics
                await connection.execute("ANALYZE outbox_event_record")
            (row,) = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql.text}", *args)
            plan = json.loads(row[0])[0]["Plan"]
            assert plan["Actual Rows"] == found
            assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 40
    finally:
        await connection.close()
