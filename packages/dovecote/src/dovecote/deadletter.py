"""Dead letters: messages set aside with their bytes, their error and their attempts, to be mended in place."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from dovecote import telemetry
from dovecote.kafka import Message
from dovecote.sql import Sql

if TYPE_CHECKING:
    from dovecote.database import Database, Transaction

LIST_MAX = 1000
ERROR_LENGTH_MAX = 2000
INSERT_LETTERS = Sql("""
    INSERT INTO dead_letter (consumer_group, topic, partition, "offset", event_id, event_type, key, value,
                             headers, error, status, attempts, next_attempt_at, created_at, updated_at)
    SELECT $1, new.topic, new.partition, new."offset", new.event_id, new.event_type, new.key, new.value,
           new.headers, new.error, new.status, 1, new.next_attempt_at, $12, $12
      FROM unnest($2::text[], $3::int[], $4::bigint[], $5::uuid[], $6::text[], $7::bytea[], $8::bytea[],
                  $9::jsonb[], $10::text[], $11::text[], $13::timestamptz[])
        AS new(topic, partition, "offset", event_id, event_type, key, value, headers, error, status,
               next_attempt_at)
     ORDER BY new.topic, new.partition, new."offset"
    ON CONFLICT DO NOTHING
""")
LIST_LETTERS = Sql("""
    SELECT id, consumer_group, topic, partition, "offset", event_id, event_type, key, value, headers, error,
           status, attempts, next_attempt_at, created_at, updated_at
      FROM dead_letter
     WHERE status = ANY($1::text[])
     ORDER BY id DESC
     LIMIT $2
""")
SHOW_LETTER = Sql("""
    SELECT id, consumer_group, topic, partition, "offset", event_id, event_type, key, value, headers, error,
           status, attempts, next_attempt_at, created_at, updated_at
      FROM dead_letter
     WHERE id = $1
""")
LOCK_LETTER = Sql("""
    SELECT id, consumer_group, topic, partition, "offset", event_id, event_type, key, value, headers, error,
           status, attempts, next_attempt_at, created_at, updated_at
      FROM dead_letter
     WHERE id = $1
       FOR UPDATE
""")
# Attempts are counted before the try, in a transaction of their own: a letter that kills the process is not
# tried for ever. One at a time: what is claimed and not tried would have counted for nothing.
CLAIM_DUE = Sql("""
    UPDATE dead_letter AS d
       SET attempts = d.attempts + 1, next_attempt_at = $3, updated_at = $2
      FROM (SELECT id FROM dead_letter
             WHERE consumer_group = $1 AND status = 'RETRYING' AND next_attempt_at <= $2 AND id <> ALL($4::bigint[])
             ORDER BY next_attempt_at, id LIMIT 1 FOR UPDATE SKIP LOCKED) AS due
     WHERE d.id = due.id
    RETURNING d.id, d.attempts
""")
GIVE_BACK = Sql("""
    UPDATE dead_letter
       SET attempts = attempts - 1, next_attempt_at = $2, updated_at = $2
     WHERE id = $1 AND status = 'RETRYING'
""")
SET_STATUS = Sql("""
    UPDATE dead_letter
       SET status = $2, error = coalesce($3, error), next_attempt_at = $4, updated_at = $5
     WHERE id = $1
""")
COUNT_BY_STATUS = Sql("SELECT status, count(*) AS letters FROM dead_letter GROUP BY status")

OPEN = ("RETRYING", "PARKED", "DEAD")


@dataclass(frozen=True, slots=True)
class Letter:
    """A message about to be set aside. ``retry_at`` None: nothing but an operator's redrive tries it again."""

    message: Message
    event_id: UUID | None
    event_type: str | None
    error: str
    status: str
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A stored dead letter."""

    id: int
    consumer_group: str
    topic: str
    partition: int
    offset: int
    event_id: UUID | None
    event_type: str | None
    key: bytes | None
    value: bytes | None
    headers: str
    error: str
    status: str
    attempts: int
    next_attempt_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def message(self) -> Message:
        """The message as it came."""
        headers = [
            (name, None if text is None else base64.b64decode(text)) for name, text in json.loads(self.headers)
        ]
        return Message(self.topic, self.partition, self.offset, self.key, self.value, headers)


async def bury(tx: Transaction, group: str, letters: Sequence[Letter]) -> None:
    """Store dead letters; one that is stored already stays as it is."""
    if not letters:
        return
    columns: list[list[Any]] = list(map(list, zip(*map(_row, letters), strict=True)))
    await tx.execute(INSERT_LETTERS, group, *columns[:10], tx.now, columns[10])
    for letter in letters:
        place = letter.message
        telemetry.dead_letter(group, place.topic, place.partition, place.offset, letter.status, letter.error)


def _row(letter: Letter) -> tuple[Any, ...]:
    message = letter.message
    headers = json.dumps(
        [
            (storable(name), None if value is None else base64.b64encode(value).decode())
            for name, value in message.headers
        ]
    )
    return (
        message.topic,
        message.partition,
        message.offset,
        letter.event_id,
        letter.event_type,
        message.key,
        message.value,
        headers,
        storable(letter.error)[:ERROR_LENGTH_MAX],
        letter.status,
        letter.retry_at,
    )


async def letters(database: Database, *, limit: int = 100, statuses: Sequence[str] = OPEN) -> list[DeadLetter]:
    """The newest dead letters of these statuses."""
    return [DeadLetter(**row) for row in await database.fetch(LIST_LETTERS, statuses, min(limit, LIST_MAX))]


async def letter(database: Database, number: int) -> DeadLetter | None:
    """One dead letter, or None."""
    row = await database.fetchrow(SHOW_LETTER, number)
    return DeadLetter(**row) if row else None


async def lock(tx: Transaction, number: int) -> DeadLetter | None:
    """One dead letter, locked until the transaction ends, or None."""
    row = await tx.fetchrow(LOCK_LETTER, number)
    return DeadLetter(**row) if row else None


async def mark(
    tx: Transaction, number: int, status: str, *, error: str | None = None, retry_at: datetime | None = None
) -> None:
    """Change a dead letter's status, and its error where one is given."""
    text = None if error is None else storable(error)[:ERROR_LENGTH_MAX]
    await tx.execute(SET_STATUS, number, status, text, retry_at, tx.now)


def storable(text: str) -> str:
    """Text that PostgreSQL takes: without NUL and halves of surrogate pairs."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
