"""The outbox: events stored beside the change that caused them, PENDING until Kafka has them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from dovecote import telemetry
from dovecote.kafka import Outgoing
from dovecote.settled import READ_SETTLED
from dovecote.sql import Sql

if TYPE_CHECKING:
    from dovecote.database import Database

REPLAY_MAX = 100

# Types and topics are one for all, or one for each: an array shorter than the others is filled up with its first.
INSERT_EVENTS = Sql("""
    INSERT INTO outbox_event_record
           (event_id, event_type, topic, aggregate_type, aggregate_id, sequence, key, value, trace_id,
            status, attempts, created_at)
    SELECT new.event_id, coalesce(new.event_type, ($2::text[])[1]), coalesce(new.topic, ($3::text[])[1]),
           coalesce(new.aggregate_type, ($4::text[])[1]), new.aggregate_id, new.sequence, new.key, new.value,
           new.trace_id, 'PENDING', 0, $10
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[],
                  $8::bytea[], $9::text[])
        AS new(event_id, event_type, topic, aggregate_type, aggregate_id, sequence, key, value, trace_id)
    RETURNING id, event_id
""")
LIST_RECORDS = Sql("""
    SELECT id, event_id, event_type, topic, aggregate_type, aggregate_id, sequence, status, attempts,
           blocked_by, last_error, created_at, sent_at
      FROM outbox_event_record
     WHERE status = $1
     ORDER BY id
     LIMIT $2
""")
# The four conditions are all that may be other than SENT, each with its index; the history is not read. The line is a
# parameter: of one that a subquery finds the planner believes that a third of the history lies behind it, and reads all
# of it (2.1 s for a million records). Materialized, lest the LIMIT make it walk the history in order.
LIST_UNSENT = Sql("""
    WITH unsent AS MATERIALIZED (
        SELECT id, event_id, event_type, topic, aggregate_type, aggregate_id, sequence, status, attempts,
               blocked_by, last_error, created_at, sent_at
          FROM outbox_event_record
         WHERE status = $1 AND (id >= $3 OR behind OR failed OR blocked_by IS NOT NULL)
    )
    SELECT * FROM unsent ORDER BY id LIMIT $2
""")
# One of two operators wins a row; the other waits for it, finds it PENDING and leaves it alone. Ids may be far below
# what the relay's sweep looks at: replayed records are found by `behind`.
REPLAY_FAILED = Sql("""
    UPDATE outbox_event_record AS o
       SET status = 'PENDING', behind = true, attempts = 0, last_error = NULL, next_attempt_at = NULL
      FROM (SELECT id FROM outbox_event_record WHERE failed ORDER BY id LIMIT $1 FOR UPDATE) AS chosen
     WHERE o.id = chosen.id
    RETURNING o.id
""")
# A statement of its own, for it must see what the relay blocked until the records above were locked.
FREE_BLOCKED = Sql("""
    UPDATE outbox_event_record SET blocked_by = NULL, behind = true WHERE blocked_by = ANY($1::bigint[])
""")
COUNT_BY_STATUS = Sql("""
    SELECT status, count(*) AS records
      FROM outbox_event_record
     WHERE status <> 'SENT' AND (id >= $1 OR behind OR failed OR blocked_by IS NOT NULL)
     GROUP BY status
""")
# A FAILED record that others wait for stays: without it nothing could free them.
DELETE_OLD = Sql("""
    DELETE FROM outbox_event_record
     WHERE id IN (SELECT o.id
                    FROM outbox_event_record AS o
                   WHERE o.status = $1 AND o.failed = ($1 = 'FAILED') AND o.created_at < $2
                     AND NOT EXISTS (SELECT 1 FROM outbox_event_record AS waits WHERE waits.blocked_by = o.id)
                   ORDER BY o.id
                   LIMIT $3
                     FOR UPDATE)
""")


class Waiting(Outgoing, frozen=True, gc=False):
    """A PENDING record, as far as the relay must know it."""

    attempts: int
    aggregate_type: str
    aggregate_id: str


@dataclass(frozen=True, slots=True)
class OutboxEventRecord:
    """A stored event on its way to Kafka; ``blocked_by`` is the FAILED record of its aggregate it waits for."""

    id: int
    event_id: UUID
    event_type: str
    topic: str
    aggregate_type: str
    aggregate_id: str
    sequence: int
    status: str
    attempts: int
    blocked_by: int | None
    last_error: str | None
    created_at: datetime
    sent_at: datetime | None


async def records(database: Database, *, status: str = "FAILED", limit: int = 100) -> list[OutboxEventRecord]:
    """The oldest records of a status."""
    if status == "SENT":
        rows = await database.fetch(LIST_RECORDS, status, limit)
    else:
        rows = await database.fetch(LIST_UNSENT, status, limit, await database.fetchval(READ_SETTLED))
    return [OutboxEventRecord(**row) for row in rows]


async def unsent(database: Database) -> dict[str, int]:
    """How many records are not SENT, by their status."""
    rows = await database.fetch(COUNT_BY_STATUS, await database.fetchval(READ_SETTLED))
    return {row["status"]: row["records"] for row in rows}


async def replay_failed(database: Database, *, limit: int = REPLAY_MAX, actor: str = "unnamed") -> int:
    """Set FAILED records back to PENDING, oldest first, and free those they blocked; says how many.

    The log says which records, and on whose word.
    """
    async with database.transaction() as tx:
        replayed = [row["id"] for row in await tx.fetch(REPLAY_FAILED, min(limit, REPLAY_MAX))]
        await tx.execute(FREE_BLOCKED, replayed)
        tx.wake_relay()
    if replayed:
        telemetry.replayed(database.voice.producer, replayed, actor)
    return len(replayed)
