"""Helpers for tests of services: a migrated schema, deliveries without a broker, what was said.

They use a real PostgreSQL: a database that can lie proves nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec

from dovecote import envelope, ids
from dovecote.contracts import Contracts
from dovecote.database import Database, Voice
from dovecote.delivery import Courier, RetryPolicy
from dovecote.events import Event
from dovecote.kafka import Message
from dovecote.migrate import migrate
from dovecote.reading import Reader, runs
from dovecote.redrive import Redrive
from dovecote.service import Blueprint
from dovecote.sql import Sql

PUBLISHED = Sql("""
    SELECT id, event_id, event_type, topic, aggregate_type, aggregate_id, sequence, key, value, trace_id, status
      FROM outbox_event_record
     WHERE $1::text IS NULL OR event_type = $1
     ORDER BY id
""")


@dataclass(frozen=True)
class Published:
    """An outbox record with its payload as plain values."""

    event_id: UUID
    event_type: str
    topic: str
    key: str
    sequence: int
    trace_id: str
    payload: dict[str, Any]
    value: bytes


class Bench:
    """A service's database and handlers without its loops: deliver, and look at what came of it."""

    def __init__(self, blueprint: Blueprint, database: Database) -> None:
        self.blueprint = blueprint
        self.database = database
        self.reader = Reader(blueprint.handlers, value_bytes_max=blueprint.app.kafka.event_bytes_max)
        policy = RetryPolicy(first=timedelta(0), most=timedelta(0))
        self.courier = Courier(database, group=blueprint.name, policy=policy)
        self.redrive = Redrive(database, self.reader, group=blueprint.name, policy=policy)
        self._offset = 0

    def message(
        self, event: Event, *, event_id: UUID | None = None, key: str = "", trace_id: str | None = None
    ) -> Message:
        """An event as it would come from Kafka."""
        value = envelope.encode(
            event_id or uuid4(),
            event.EVENT,
            self.database.now,
            "test",
            trace_id or ids.new_trace_id(),
            msgspec.json.encode(event),
        )
        return self.raw(event.EVENT, value, key=key)

    def raw(self, topic: str, value: bytes | None, *, key: str = "") -> Message:
        """Any bytes as they would come from Kafka, at the next offset."""
        self._offset += 1
        return Message(topic, 0, self._offset, key.encode() or None, value, ())

    async def deliver(self, *messages: Message | Event) -> list[Message]:
        """Deliver messages (or events) as one poll would; returns them, to be delivered again."""
        polled = [self.message(m) if isinstance(m, Event) else m for m in messages]
        for run in runs(map(self.reader.read, polled)):
            await self.courier.deliver(run)
        return polled

    async def published(self, event_type: str | None = None) -> list[Published]:
        """What the service has said, oldest first."""
        rows = await self.database.fetch(PUBLISHED, event_type)
        return [
            Published(
                row["event_id"],
                row["event_type"],
                row["topic"],
                row["key"],
                row["sequence"],
                row["trace_id"],
                msgspec.json.decode(envelope.decode(row["value"]).payload),
                row["value"],
            )
            for row in rows
        ]


@asynccontextmanager
async def bench(
    blueprint: Blueprint, *, database_url: str, contracts: Contracts, prefix: str = ""
) -> AsyncIterator[Bench]:
    """A migrated schema of a service and its handlers, ready to be delivered to."""
    schema = prefix + blueprint.schema
    folders = [blueprint.migrations]
    await asyncio.to_thread(migrate, database_url, schema=schema, folders=folders)
    voice = Voice(blueprint.name, contracts, blueprint.topic_of(contracts, prefix))
    database = await Database.connect(database_url, schema=schema, voice=voice)
    try:
        yield Bench(blueprint, database)
    finally:
        await database.close()


async def eventually(
    condition: Callable[[], Awaitable[Any]], *, seconds: float = 20.0, every: float = 0.02, what: str = ""
) -> Any:
    """Wait until a condition gives something true and return it; AssertionError after so many seconds."""
    deadline = asyncio.get_running_loop().time() + seconds
    last: Any = None
    while asyncio.get_running_loop().time() < deadline:
        last = await condition()
        if last:
            return last
        await asyncio.sleep(every)
    raise AssertionError(f"Not within {seconds} s: {what or condition}; last seen: {last!r}")


async def drained(database: Database, *, seconds: float = 20.0) -> None:
    """Wait until nothing is PENDING in the outbox."""

    async def empty() -> bool:
        rows: Sequence[Any] = await database.fetch(PENDING)
        return not rows

    await eventually(empty, seconds=seconds, what="the outbox is sent")


PENDING = Sql("SELECT id FROM outbox_event_record WHERE status = 'PENDING' LIMIT 1")
