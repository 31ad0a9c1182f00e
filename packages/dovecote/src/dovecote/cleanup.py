"""Cleanup: what is done goes when its retention ends, in bites that disturb nobody."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from dovecote import inbox, outbox
from dovecote.settings import CleanupSettings
from dovecote.sql import Sql

if TYPE_CHECKING:
    from dovecote.database import Database

BITE = 5000

DELETE_DONE_INTENTS = Sql("""
    DELETE FROM intent
     WHERE (kind, key) IN (SELECT kind, key FROM intent WHERE status = 'DONE' AND done_at < $1
                            ORDER BY kind, key LIMIT $2 FOR UPDATE)
""")
DELETE_DONE_LETTERS = Sql("""
    DELETE FROM dead_letter
     WHERE id IN (SELECT id FROM dead_letter WHERE status = 'DONE' AND updated_at < $1
                   ORDER BY id LIMIT $2 FOR UPDATE)
""")


async def clean(database: Database, settings: CleanupSettings) -> int:
    """Delete what is past its retention: outbox records, inbox rows, done intents and letters; says how many."""
    now = database.now
    old_sent, old_failed = now - settings.outbox_sent_retention, now - settings.outbox_failed_retention
    return (
        await _bites(database, outbox.DELETE_OLD, "SENT", old_sent)
        + await _bites(database, outbox.DELETE_OLD, "FAILED", old_failed)
        + await _bites(database, inbox.DELETE_OLD, now - settings.dedup_retention)
        + await _bites(database, DELETE_DONE_INTENTS, now - settings.dedup_retention)
        + await _bites(database, DELETE_DONE_LETTERS, now - settings.dedup_retention)
    )


async def _bites(database: Database, sql: Sql, *args: str | datetime) -> int:
    total = 0
    while True:
        async with database.transaction("work") as tx:
            deleted = await tx.execute(sql, *args, BITE)
        total += deleted
        if deleted < BITE:
            return total
