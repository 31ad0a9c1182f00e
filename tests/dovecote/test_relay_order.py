"""The relay keeps an aggregate's order: late commits, several relays, crashes, leaders that do not know they fell."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from dovecote import envelope
from dovecote.database import Database
from dovecote.kafka import Admin, LogRecord
from dovecote.marks import MARK_SENT, MARK_TRIED
from dovecote.sql import Sql
from dovecote.testing import drained, eventually
from tests.dovecote import sample
from tests.dovecote.relays import LEADER, end_backend, epoch, relaying
from tests.dovecote.sample import outbox, pin, read_log, statuses, tell

MARKING = Sql("""
    SELECT pid
      FROM pg_stat_activity
     WHERE datname = current_database() AND query LIKE 'UPDATE outbox%' AND wait_event_type = 'Lock'
""")
DEPOSE = Sql("UPDATE relay_leader SET epoch = epoch + 1")


def versions(log: Sequence[LogRecord]) -> dict[str, list[int]]:
    """First occurrences of each note's versions, in Kafka's order (a resent one is no disorder)."""
    heard: dict[str, list[int]] = {}
    for record in log:
        payload = msgspec.json.decode(envelope.decode(record.value).payload)
        seen = heard.setdefault(payload["noteId"], [])
        if payload["version"] not in seen:
            seen.append(payload["version"])
    return heard


def event_ids(log: Sequence[LogRecord]) -> Counter[UUID]:
    """How often each event stands in Kafka."""
    return Counter(envelope.decode(record.value).event_id for record in log)


@asynccontextmanager
async def rows_locked(url: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Lock the outbox's rows from outside, so that a relay's mark waits while Kafka has acknowledged already."""
    connection = await asyncpg.connect(url, server_settings={"search_path": sample.NOTES_SCHEMA})
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("SELECT id FROM outbox_event_record FOR UPDATE")
    try:
        yield transaction.rollback
    finally:
        await connection.close()


async def test_an_id_that_becomes_visible_late_is_sent(notes: Database, bootstrap: str, topics: list[str]) -> None:
    """O1: an id taken early and committed late, when the scan's floor is long past it, still leaves, and in order."""
    clock = asyncio.get_running_loop().time
    async with relaying(notes, bootstrap):
        async with notes.transaction() as late:
            await tell(late, "late")
            await late.flush()
            until, number = clock() + 1.2, 0

            async def traffic_passes() -> bool:
                nonlocal number
                number += 1
                async with notes.transaction("work") as tx:
                    await tell(tx, f"n{number}")
                return clock() > until and (await statuses(notes)).count("SENT") > 10

            await eventually(traffic_passes)
        async with notes.transaction() as tx:
            await tell(tx, "late")
        await drained(notes)
    rows = await outbox(notes)
    assert rows[0]["aggregate_id"] == "late"
    assert {row["status"] for row in rows} == {"SENT"}
    heard = versions(await read_log(bootstrap, *topics))
    assert heard.pop("late") == [1, 2]
    assert sorted(heard) == sorted(f"n{each}" for each in range(1, number + 1)), [row["aggregate_id"] for row in rows]


async def test_three_relays_keep_each_order(
    notes: Database, sample_url: str, prefix: str, bootstrap: str, topics: list[str]
) -> None:
    """O3: three relays on one outbox, the leader's session ended again and again: I14, each note's order, holds."""

    deposed = asyncio.Event()

    async def write(writer: int) -> int:
        turns = 0
        while not deposed.is_set():  # A fixed number would be written and sent before the third leader falls.
            turns += 1
            async with notes.transaction() as tx:
                for note in range(5):
                    await tell(tx, f"n{writer}-{note}", str(turns))
        return turns

    async def depose() -> None:
        for _ in range(3):
            before = await epoch(notes)
            await eventually(lambda: _is_in_flight(notes))
            row = await notes.fetchrow(LEADER)
            assert row is not None
            await end_backend(sample_url, row["pid"])
            await eventually(lambda before=before: _is_later(notes, before))  # type: ignore[misc]

    async def depose_and_tell() -> None:
        try:
            await depose()
        finally:
            deposed.set()

    async with AsyncExitStack() as stack:
        for _ in range(3):
            other = await stack.enter_async_context(sample.connected(sample_url, prefix=prefix))
            await stack.enter_async_context(relaying(other, bootstrap))
        await eventually(lambda: epoch(notes))
        _, *turns = await asyncio.gather(depose_and_tell(), *(write(writer) for writer in range(4)))
        await drained(notes)
    heard = versions(await read_log(bootstrap, *topics))
    assert heard == {
        f"n{writer}-{note}": [*range(1, last + 1)] for writer, last in enumerate(turns) for note in range(5)
    }
    assert set(await statuses(notes)) == {"SENT"}


async def _is_in_flight(database: Database) -> bool:
    return "PENDING" in await statuses(database)


async def _is_later(database: Database, before: int) -> bool:
    return await epoch(database) > before


async def test_a_crash_between_ack_and_mark_repeats_the_same_events(
    notes: Database, sample_url: str, bootstrap: str, topics: list[str]
) -> None:
    """O5: the mark's session dies after Kafka's ack: the rows are sent again under their eventIds, in order."""
    async with notes.transaction() as tx:
        said = [await tell(tx, f"n{number % 4}") for number in range(20)]
    async with rows_locked(sample_url) as unlock, relaying(notes, bootstrap):
        pid = await eventually(lambda: notes.fetchval(MARKING))
        assert set(event_ids(await read_log(bootstrap, *topics))) == set(said), "Kafka has them, nobody knows"
        await end_backend(sample_url, pid)
        await eventually(lambda: _is_later(notes, 1))
        await unlock()
        await drained(notes)
    log = await read_log(bootstrap, *topics)
    assert set(event_ids(log)) == set(said)
    assert all(times >= 2 for times in event_ids(log).values())
    assert versions(log) == {f"n{number}": [1, 2, 3, 4, 5] for number in range(4)}


async def test_a_zombie_marks_nothing(notes: Database, bootstrap: str, topics: list[str]) -> None:
    """O7: a leader whose epoch is over sends once more at most and marks nothing; the next term marks."""
    async with relaying(notes, bootstrap) as relay:
        await eventually(lambda: epoch(notes))
        # One transaction, so that the leader meets the event only when it is deposed.
        async with notes.transaction() as tx:
            said = await tell(tx, "n1")
            await tx.execute(DEPOSE)
        await drained(notes)
        assert await epoch(notes) == 3
        assert relay.leads
    assert set(event_ids(await read_log(bootstrap, *topics))) == {said}


async def test_an_old_epoch_touches_no_row(notes: Database) -> None:
    """O7: both marks carry the epoch, and one that is over matches no row, whatever it claims to know."""
    async with notes.transaction() as tx:
        await tell(tx, "n1")
        await tx.execute(Sql("INSERT INTO relay_leader VALUES (true, 7, 0, $1)"), tx.now)
    (row,) = await outbox(notes)
    async with notes.transaction() as tx:
        assert await tx.execute(MARK_SENT, [row["id"]], tx.now, 6) == 0
        assert await tx.execute(MARK_TRIED, [row["id"]], [True], ["no"], [None], 6) == 0
        assert await tx.execute(MARK_SENT, [row["id"]], tx.now, 7) == 1


async def test_a_failing_record_holds_its_successors_only(notes: Database, prefix: str, bootstrap: str) -> None:
    """O4: a record that backs off holds back its own aggregate, on other topics too, until it is FAILED for good."""
    told, pinned = prefix + "note.told.v1", prefix + "note.pinned.v1"
    admin = Admin(bootstrap)
    # This topic takes no record that is older than 0 ms: a real failure that is neither size, topic nor broker.
    refusing = {"message.timestamp.before.max.ms": "0"}
    await admin.ensure_topics([pinned], partitions=1, replication=1, settings=refusing)
    await admin.ensure_topics([told], partitions=1, replication=1)
    async with notes.transaction() as tx:
        await pin(tx, "held")
        await tell(tx, "held")
        await tell(tx, "free")
    async with relaying(notes, bootstrap, attempts_max=2):

        async def failed() -> Any:
            return [row for row in await outbox(notes) if row["status"] == "FAILED"]

        async def backs_off() -> bool:
            rows = await outbox(notes)
            return rows[0]["attempts"] == 1 and rows[2]["status"] == "SENT"

        await eventually(backs_off)
        rows = await outbox(notes)
        assert [row["status"] for row in rows] == ["PENDING", "PENDING", "SENT"]
        (gone,) = await eventually(failed)
        assert (gone["aggregate_id"], gone["attempts"]) == ("held", 2)

        async def blocked() -> bool:
            return bool((await outbox(notes))[1]["blocked_by"] == gone["id"])

        await eventually(blocked)
    assert versions(await read_log(bootstrap, told)) == {"free": [1]}
    await admin.delete_topics([told, pinned])
