"""A small service for the library's tests: notes that are told, a board that hears them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from dovecote.contracts import Contracts
from dovecote.database import Database, Transaction, Voice
from dovecote.events import Aggregate, Event, Traced
from dovecote.handlers import Handlers
from dovecote.intents import Worker
from dovecote.kafka import LogRecord, read_topics
from dovecote.schedule import Job
from dovecote.service import Blueprint
from dovecote.settings import App, Settings
from dovecote.sql import Sql

HERE = Path(__file__).parent
CONTRACTS = HERE / "contracts"
MIGRATIONS = HERE / "migrations"

# Two services with the same shape: one tells, the other hears (both schemas hold a `note` table).
NOTES, NOTES_SCHEMA = "notes-service", "notes"
BOARD, BOARD_SCHEMA = "board-service", "board"


class NoteTold(Event, frozen=True):
    EVENT = "note.told.v1"
    note_id: str
    version: int
    text: str
    price_paid: Decimal | None = None
    due: datetime | None = None


class NotePinned(Event, frozen=True):
    EVENT = "note.pinned.v1"
    note_id: str
    version: int


class BoardSeen(Event, frozen=True):
    EVENT = "board.seen.v1"
    note_id: str
    version: int


TELL = Sql("""
    INSERT INTO note AS n (id, version, text) VALUES ($1, 1, $2)
    ON CONFLICT (id) DO UPDATE SET version = n.version + 1, text = excluded.text
    RETURNING version
""")
NOTE = Sql("SELECT id, version, text FROM note WHERE id = $1")
NOTES_ALL = Sql("SELECT id, version, text FROM note ORDER BY id")
OUTBOX = Sql("""
    SELECT id, event_id, event_type, topic, aggregate_id, sequence, status, attempts, blocked_by, last_error,
           next_attempt_at
      FROM outbox_event_record
     ORDER BY id
""")


def contracts() -> Contracts:
    """The sample's registry."""
    return Contracts.load(CONTRACTS)


def blueprint(
    handlers: Handlers | None = None,
    *,
    name: str = NOTES,
    schema: str = NOTES_SCHEMA,
    app: App | None = None,
    workers: Sequence[Worker[Any]] = (),
    jobs: Sequence[Job] = (),
) -> Blueprint:
    """The notes service (or, by name and schema, the board service) with whatever it should do."""
    settings = Settings(app or App(), 0, "127.0.0.1", {})
    return Blueprint(name, schema, MIGRATIONS, settings, handlers or Handlers(), workers, jobs)


@asynccontextmanager
async def connected(
    url: str, *, prefix: str = "", name: str = NOTES, schema: str = NOTES_SCHEMA, role: str | None = None
) -> AsyncIterator[Database]:
    """A service's database without its loops. Topics carry the prefix; the schema has a database of its own."""
    registry = contracts()
    voice = Voice(name, registry, {event: prefix + event for event in registry})
    database = await Database.connect(url, schema=schema, voice=voice, role=role)
    try:
        yield database
    finally:
        await database.close()


async def tell(tx: Transaction, note_id: str, text: str = "hello", *, because: Traced | None = None) -> UUID:
    """Change a note and say so: the version is the aggregate's sequence, taken under its row lock."""
    version = await tx.fetchval(TELL, note_id, text)
    event = NoteTold(note_id=note_id, version=version, text=text)
    return tx.publish(event, of=Aggregate("note", note_id, version), because=because)


async def pin(tx: Transaction, note_id: str) -> UUID:
    """Change a note and say so on the other topic."""
    version = await tx.fetchval(TELL, note_id, "pinned")
    return tx.publish(NotePinned(note_id=note_id, version=version), of=Aggregate("note", note_id, version))


async def outbox(database: Database) -> list[dict[str, Any]]:
    """The outbox as it stands."""
    return [dict(row) for row in await database.fetch(OUTBOX)]


async def statuses(database: Database) -> list[str]:
    """The status of every outbox record, oldest first."""
    return [row["status"] for row in await outbox(database)]


async def read_log(bootstrap: str, *topics: str) -> list[LogRecord]:
    """Every record of the topics as it stands in Kafka, in the order of each partition."""
    return await asyncio.to_thread(lambda: list(read_topics(bootstrap, topics)))
