"""Cleanup: what is done goes when its retention ends, what is not done never does."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from dovecote import cleanup
from dovecote.database import Database
from dovecote.settings import CleanupSettings
from dovecote.sql import Sql
from tests.dovecote.sample import NoteTold, tell

SET_STATUS = Sql("""
    UPDATE outbox_event_record
       SET status = $2, sent_at = CASE WHEN $2 = 'SENT' THEN created_at END
     WHERE aggregate_id = $1
    RETURNING id
""")
BLOCK = Sql("UPDATE outbox_event_record SET blocked_by = $2 WHERE aggregate_id = $1 RETURNING id")
HEAR = Sql("""
    INSERT INTO consumed_event_record (consumer_group, event_id, event_type, outcome, content_hash, consumed_at)
    VALUES ($1, $2, 'note.told.v1', 'PROCESSED', 0, $3)
    RETURNING event_id
""")
FINISH = Sql("UPDATE intent SET status = 'DONE', done_at = created_at WHERE key = $1 RETURNING key")
LETTER = Sql("""
    INSERT INTO dead_letter (consumer_group, topic, partition, "offset", headers, error, status, attempts,
                             created_at, updated_at)
    VALUES ('g', $1, 0, 0, '[]', 'e', $2, 1, $3, $3)
    RETURNING id
""")
LEFT = Sql("""
    SELECT aggregate_id AS name FROM outbox_event_record
    UNION ALL SELECT consumer_group FROM consumed_event_record
    UNION ALL SELECT key FROM intent
    UNION ALL SELECT topic FROM dead_letter
     ORDER BY name
""")


async def told(database: Database, name: str, status: str, *, days: float) -> int:
    """An outbox record of an age."""
    now = database.now
    database.clock.set(now - timedelta(days=days), asked=database.clock.monotonic())
    async with database.transaction() as tx:
        await tell(tx, name)
    database.clock.set(now, asked=database.clock.monotonic())
    return int(await database.fetchval(SET_STATUS, name, status))


async def intended(database: Database, name: str, *, days: float) -> None:
    """An intent of an age."""
    now = database.now
    database.clock.set(now - timedelta(days=days), asked=database.clock.monotonic())
    async with database.transaction() as tx:
        tx.intend("ask", key=name, subject="", body=NoteTold(note_id="n", version=1, text=""))
    database.clock.set(now, asked=database.clock.monotonic())


async def names(database: Database) -> list[str]:
    """What is left."""
    return [row["name"] for row in await database.fetch(LEFT)]


async def test_each_kind_has_its_retention(notes: Database) -> None:
    """SENT goes after 7 days, FAILED after 30, an inbox row and a done intent after 31; what waits stays for ever."""
    for name, status, days in (
        ("sent-new", "SENT", 6.9),
        ("sent-old", "SENT", 7.1),
        ("failed-new", "FAILED", 29.9),
        ("failed-old", "FAILED", 30.1),
        ("pending-old", "PENDING", 400),
    ):
        await told(notes, name, status, days=days)
    for name, days in (("heard-new", 30.9), ("heard-old", 31.1)):
        await notes.fetch(HEAR, name, uuid4(), notes.now - timedelta(days=days))
    for name, days in (("done-new", 30.9), ("done-old", 31.1), ("waiting-old", 400)):
        await intended(notes, name, days=days)
        if name.startswith("done"):
            await notes.fetch(FINISH, name)
    assert await cleanup.clean(notes, CleanupSettings()) == 4
    assert await names(notes) == ["done-new", "failed-new", "heard-new", "pending-old", "sent-new", "waiting-old"]
    assert await cleanup.clean(notes, CleanupSettings()) == 0


async def test_a_failed_record_that_others_wait_for_stays(notes: Database) -> None:
    """However old, it is what frees them; it goes when nothing waits for it any more."""
    failed = await told(notes, "failed", "FAILED", days=400)
    await told(notes, "behind", "PENDING", days=1)
    await notes.fetch(BLOCK, "behind", failed)
    assert await cleanup.clean(notes, CleanupSettings()) == 0
    await notes.fetch(BLOCK, "behind", None)
    assert await cleanup.clean(notes, CleanupSettings()) == 1
    assert await names(notes) == ["behind"]


async def test_cleanup_goes_on_bite_by_bite(notes: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a bite is deleted in several transactions, to the end."""
    monkeypatch.setattr(cleanup, "BITE", 10)
    for number in range(25):
        await notes.fetch(HEAR, f"g{number}", uuid4(), notes.now - timedelta(days=40))
    assert await cleanup.clean(notes, CleanupSettings()) == 25
    assert await names(notes) == []


async def test_done_letters_go_open_ones_stay(notes: Database) -> None:
    """A letter that was mended goes after the dedup retention; one that nobody mended never does."""
    old = notes.now - timedelta(days=40)
    for name, status, moment in (("done", "DONE", old), ("dead", "DEAD", old), ("fresh", "DONE", notes.now)):
        await notes.fetchval(LETTER, name, status, moment)
    assert await cleanup.clean(notes, CleanupSettings()) == 1
    assert await names(notes) == ["dead", "fresh"]
