"""Verbs for tests of the notification service: hear, look, run the worker until something is so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from dovecote.database import Database
from dovecote.events import Delivery, Event
from dovecote.intents import Worker, WorkerLoop
from dovecote.sql import Sql
from ecom.notification.handlers import hears
from ecom.notification.letters import Letters

NOTIFICATIONS = Sql("SELECT * FROM notification ORDER BY created_at, event_id")
WAITING = Sql("SELECT * FROM waiting_news ORDER BY event_id")
INTENTS = Sql("SELECT subject, status FROM intent ORDER BY key")
SAID = Sql("""
    SELECT event_type, key, sequence, convert_from(value, 'UTF8') AS value FROM outbox_event_record ORDER BY id
""")
STATUSES = Sql("SELECT status, count(*) AS mails FROM notification GROUP BY status")


def delivery(event: Event, *, event_id: UUID | None = None) -> Delivery[Any]:
    """An event as a handler gets it."""
    return Delivery(
        event=event,
        event_id=event_id or uuid4(),
        event_type=event.EVENT,
        occurred_at=datetime.now(UTC),
        producer="test",
        trace_id="0" * 32,
        topic=f"topic-of-{event.EVENT}",
        partition=0,
        offset=0,
        key="k",
        sequence=None,
    )


async def hear(
    database: Database,
    letters: Letters,
    *events: Event | Delivery[Any],
    lane: str = "consumer",
    together: int = 1,
) -> None:
    """One batch of one type, in one transaction; so many mails leave with one intent."""
    batch = [each if isinstance(each, Delivery) else delivery(each) for each in events]
    route = hears(letters, together=together).routes[batch[0].event_type]
    async with database.transaction(lane) as tx:
        await route.handle(tx, batch)


async def notifications(database: Database) -> Sequence[Mapping[str, Any]]:
    """All of them, oldest first."""
    return await database.fetch(NOTIFICATIONS)


async def statuses(database: Database) -> dict[str, int]:
    """How many notifications stand where."""
    return {row["status"]: row["mails"] for row in await database.fetch(STATUSES)}


@contextlib.asynccontextmanager
async def working(database: Database, worker: Worker[Any]) -> AsyncIterator[None]:
    """The worker's loop runs meanwhile."""
    task = asyncio.create_task(WorkerLoop(database, worker).run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
