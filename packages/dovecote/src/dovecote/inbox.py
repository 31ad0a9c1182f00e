"""The inbox: each event has one verdict in each consumer group, written in the transaction of its effect."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from dovecote.errors import DovecoteError
from dovecote.sql import Sql, one_or_all

if TYPE_CHECKING:
    from dovecote.database import Transaction
    from dovecote.reading import Received

# ORDER BY: overlapping batches inserted in different orders deadlock, sorted they never do. $3 is one type for all, or
# one for each.
INSERT_NEW = Sql("""
    INSERT INTO consumed_event_record (consumer_group, event_id, event_type, outcome, content_hash, consumed_at)
    SELECT $1, new.event_id, coalesce(new.event_type, ($3::text[])[1]), 'PROCESSED', new.content_hash, $5
      FROM unnest($2::uuid[], $3::text[], $4::bigint[]) AS new(event_id, event_type, content_hash)
     ORDER BY new.event_id
""")
ADMIT = Sql("""
    INSERT INTO consumed_event_record (consumer_group, event_id, event_type, outcome, content_hash, consumed_at)
    SELECT $1, new.event_id, coalesce(new.event_type, ($3::text[])[1]), 'PROCESSED', new.content_hash, $5
      FROM unnest($2::uuid[], $3::text[], $4::bigint[]) AS new(event_id, event_type, content_hash)
     ORDER BY new.event_id
    ON CONFLICT DO NOTHING
    RETURNING event_id
""")
KNOWN_HASHES = Sql("""
    SELECT event_id, content_hash
      FROM consumed_event_record
     WHERE consumer_group = $1 AND event_id = ANY($2::uuid[])
""")
SET_OUTCOME = Sql("""
    UPDATE consumed_event_record
       SET outcome = $3
     WHERE consumer_group = $1 AND event_id = ANY($2::uuid[])
""")
ADMIT_AGAIN = Sql("""
    INSERT INTO consumed_event_record AS c
           (consumer_group, event_id, event_type, outcome, content_hash, consumed_at)
    VALUES ($1, $2, $3, 'PROCESSED', $4, $5)
    ON CONFLICT (event_id, consumer_group) DO UPDATE SET outcome = 'PROCESSED'
     WHERE c.outcome <> 'PROCESSED'
    RETURNING event_id
""")
# A letter that is not done may be tried again at any age: until then its event's verdict (or, for an impostor, that of
# the event it imitates) stays.
DELETE_OLD = Sql("""
    DELETE FROM consumed_event_record
     WHERE (event_id, consumer_group) IN (
           SELECT c.event_id, c.consumer_group
             FROM consumed_event_record AS c
            WHERE c.consumed_at < $1
              AND NOT EXISTS (SELECT 1 FROM dead_letter AS l
                               WHERE l.event_id = c.event_id AND l.consumer_group = c.consumer_group
                                 AND l.status <> 'DONE')
            ORDER BY c.event_id, c.consumer_group
            LIMIT $2
              FOR UPDATE)
""")


class Outcome(Enum):
    """The verdict on an event, for good: an inbox row carries it."""

    PROCESSED = "PROCESSED"
    PARKED = "PARKED"
    DEAD = "DEAD"


_blank = hashlib.blake2b(digest_size=8)


def content_hash(value: bytes) -> int:
    """64 bits of the message value: tells a repeat from another event under the same id."""
    hashed = _blank.copy()  # a fifth cheaper than a new one
    hashed.update(value)
    return int.from_bytes(hashed.digest(), "big", signed=True)


class RepeatFound(DovecoteError):
    """An event of a batch was admitted before: the transaction is spoilt, and the batch must be admitted carefully."""


async def admit_new(tx: Transaction, group: str, events: Mapping[UUID, Received]) -> None:
    """Write the inbox rows of a batch in which nothing is expected to be a repeat: half the cost of looking first.

    Raises RepeatFound where an event has been admitted before; nothing else can be done in the transaction then.
    """
    try:
        await tx.execute(INSERT_NEW, *_columns(tx, group, events))
    except asyncpg.UniqueViolationError as error:
        raise RepeatFound("An event of this batch was handled before.") from error


async def admit(tx: Transaction, group: str, events: Mapping[UUID, Received]) -> set[UUID]:
    """Write the inbox rows of a batch; returns the events that are new to the group."""
    return {row["event_id"] for row in await tx.fetch(ADMIT, *_columns(tx, group, events))}


def _columns(tx: Transaction, group: str, events: Mapping[UUID, Received]) -> tuple[object, ...]:
    types = one_or_all([one.event_type or "" for one in events.values()])
    return group, list(events), types, [one.digest for one in events.values()], tx.now


async def digests(tx: Transaction, group: str, events: Sequence[UUID]) -> dict[UUID, int]:
    """The content hashes of those events that have a verdict: another content under such an id is an impostor."""
    if not events:
        return {}
    return {row["event_id"]: row["content_hash"] for row in await tx.fetch(KNOWN_HASHES, group, events)}


async def conclude(tx: Transaction, group: str, events: Sequence[UUID], outcome: Outcome) -> None:
    """Change the verdict on events that have an inbox row."""
    if events:
        await tx.execute(SET_OUTCOME, group, events, outcome.value)


async def admit_again(tx: Transaction, group: str, event_id: UUID, event_type: str, digest: int) -> bool:
    """Take an event out of the dead letters for another try; False where it has been processed meanwhile."""
    row = await tx.fetchrow(ADMIT_AGAIN, group, event_id, event_type, digest, tx.now)
    return row is not None
