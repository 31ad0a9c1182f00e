"""What becomes of a record that cannot leave: too large, an unknown topic, thousands that wait, a lost wake-up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from dovecote.database import Database
from dovecote.events import Aggregate
from dovecote.kafka import Admin
from dovecote.outbox import replay_failed
from dovecote.sql import Sql
from dovecote.testing import drained, eventually
from tests.dovecote.relays import epoch, relay_process, relaying
from tests.dovecote.sample import NoteTold, outbox, pin, read_log, tell

BIG = "x" * 1_200_000
WAITING = Sql("""
    SELECT count(*) FILTER (WHERE blocked_by IS NULL) AS free, count(*) FILTER (WHERE blocked_by IS NOT NULL) AS blocked
      FROM outbox_event_record
     WHERE status = 'PENDING'
""")
STATUS_OF = Sql("SELECT status FROM outbox_event_record WHERE aggregate_id = $1 ORDER BY id DESC LIMIT 1")


def is_sent(database: Database, note_id: str) -> Callable[[], Any]:
    """A condition: the note's last event is SENT."""

    async def condition() -> bool:
        return bool(await database.fetchval(STATUS_OF, note_id) == "SENT")

    return condition


async def test_an_oversized_record_fails_alone(notes: Database, bootstrap: str, topics: list[str]) -> None:
    """O11: it is FAILED at once, its successors are blocked by it and never overtake, others flow; replay frees all."""
    async with notes.transaction() as tx:
        await tell(tx, "big", BIG)
        for number in range(3):
            await tell(tx, "big")
            await tell(tx, f"n{number}")
        await pin(tx, "big")
    async with relaying(notes, bootstrap):
        await eventually(is_sent(notes, "n2"))

        async def all_behind_it_wait() -> bool:
            return [row["blocked_by"] for row in await outbox(notes)].count(first["id"]) == 4

        first = (await outbox(notes))[0]
        await eventually(all_behind_it_wait)
        async with notes.transaction() as tx:
            await tell(tx, "big")
        first = (await outbox(notes))[0]
        assert (first["status"], first["attempts"]) == ("FAILED", 1)
        assert "Message size too large" in first["last_error"]
    assert {record.key for record in await read_log(bootstrap, *topics)} == {b"n0", b"n1", b"n2"}

    async with relaying(notes, bootstrap, message_bytes_max=4_000_000):
        assert await replay_failed(notes) == 1
        await drained(notes)
    assert [row["status"] for row in await outbox(notes)] == ["SENT"] * 9
    sequences = [
        int(dict(record.headers)["aggregate-sequence"] or b"")
        for record in await read_log(bootstrap, topics[0])
        if record.key == b"big"
    ]
    assert sequences == [1, 2, 3, 4, 6]


async def test_an_unknown_topic_pauses_only_itself(notes: Database, prefix: str, bootstrap: str) -> None:
    """O12: its records stay PENDING, no attempt counted; others flow meanwhile, and once it is made it gets its own."""
    told, pinned = prefix + "note.told.v1", prefix + "note.pinned.v1"
    admin = Admin(bootstrap)
    await admin.ensure_topics([told], partitions=1, replication=1)
    async with notes.transaction() as tx:
        await pin(tx, "lost")
        await tell(tx, "found")
        await tell(tx, "lost")
    async with relaying(notes, bootstrap):
        await eventually(is_sent(notes, "found"))

        async def others_flow() -> bool:
            async with notes.transaction() as tx:
                await tell(tx, "found")
            await eventually(is_sent(notes, "found"))
            return loop.time() > until

        loop = asyncio.get_running_loop()
        until = loop.time() + 7  # librdkafka gives an unknown topic five seconds to appear
        await eventually(others_flow, seconds=60)
        lost = [row for row in await outbox(notes) if row["aggregate_id"] == "lost"]
        assert [(row["status"], row["attempts"], row["blocked_by"]) for row in lost] == [("PENDING", 0, None)] * 2
        await admin.ensure_topics([pinned], partitions=1, replication=1)
        await eventually(is_sent(notes, "lost"), seconds=30)
    await admin.delete_topics([told, pinned])


async def test_thousands_behind_a_failed_record_do_not_fill_the_scan(
    notes: Database, bootstrap: str, topics: list[str]
) -> None:
    """O13: 5,000 records behind a FAILED one leave the scan for good, and a new event still leaves at once."""
    async with notes.transaction() as tx:
        await tell(tx, "stuck", BIG)
    await _tell_thousands(notes)
    async with relaying(notes, bootstrap):
        await _all_blocked(notes)
        await _leaves_at_once(notes)
        assert await replay_failed(notes) == 1
        await _all_blocked(notes)


async def test_thousands_behind_a_waiting_record_do_not_fill_the_scan(
    notes: Database, prefix: str, bootstrap: str
) -> None:
    """O13: 5,000 records that wait for a paused topic's one are not FAILED, and keep no other event waiting."""
    told = prefix + "note.told.v1"
    admin = Admin(bootstrap)
    await admin.ensure_topics([told], partitions=1, replication=1)
    async with notes.transaction() as tx:
        await pin(tx, "stuck")
    await _tell_thousands(notes)
    async with relaying(notes, bootstrap):
        await eventually(lambda: epoch(notes))
        for _ in range(3):
            await _leaves_at_once(notes)
        row = await notes.fetchrow(WAITING)
        assert row is not None
        assert (row["free"], row["blocked"]) == (5001, 0)
    await admin.delete_topics([told])


async def _tell_thousands(database: Database) -> None:
    """Versions 2 to 5,001 of the note `stuck`."""
    for first in range(2, 5002, 500):
        async with database.transaction() as tx:
            for version in range(first, first + 500):
                event = NoteTold(note_id="stuck", version=version, text="")
                tx.publish(event, of=Aggregate("note", "stuck", version))


async def _all_blocked(database: Database) -> None:
    async def condition() -> bool:
        row = await database.fetchrow(WAITING)
        return row is not None and (row["free"], row["blocked"]) == (0, 5000)

    await eventually(condition)


async def _leaves_at_once(database: Database) -> None:
    async with database.transaction() as tx:
        await tell(tx, "new")
    # Far less than what fills the scan waits for, and enough for a machine that is busy.
    await eventually(is_sent(database, "new"), seconds=4.0)


async def test_a_lost_notify_costs_a_poll(
    notes: Database, sample_url: str, prefix: str, bootstrap: str, topics: list[str]
) -> None:
    """O20: nobody tells the leader, in another process, of the event; its poll finds it all the same."""
    async with relay_process(sample_url, bootstrap, prefix):
        await eventually(lambda: epoch(notes))
        for number in range(2):
            async with notes.transaction() as tx:
                await tell(tx, f"n{number}")
            await eventually(is_sent(notes, f"n{number}"))


async def test_a_commit_elsewhere_wakes_the_leader(
    notes: Database, sample_url: str, prefix: str, bootstrap: str, topics: list[str]
) -> None:
    """A process whose relay stands by tells the leader, in another process, at once: no poll is waited for."""
    loop = asyncio.get_running_loop()
    waits = []
    async with relay_process(sample_url, bootstrap, prefix):
        await eventually(lambda: epoch(notes))
        async with relaying(notes, bootstrap) as standby:
            for number in range(9):
                async with notes.transaction() as tx:
                    await tell(tx, f"n{number}")
                started = loop.time()
                await eventually(is_sent(notes, f"n{number}"), every=0.005)
                waits.append(loop.time() - started)
            assert not standby.leads
    assert sorted(waits)[4] < 1.0, waits  # polls alone would make each of them 1.5 s
