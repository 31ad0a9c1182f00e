"""All SQL about what becomes of a mail: sent, failed, tried again, given up, asked for once more.

Which statuses a statement may touch is the table's word (`domain.MAILS`), given as a parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dovecote.database import Database, Record, Transaction
from dovecote.sql import Sql
from ecom.notification.domain import Mail, Notification, Outcome, Status, standing
from ecom.notification.store import intend, notification

SENDABLE, RETRIABLE, REVIVABLE = map(standing, (Outcome.SEND, Outcome.TRY_AGAIN, Outcome.REVIVE))

# A row already SENT is left alone. Not locked first: a mail stands in one intent at a time, so nobody else wants these
# rows, and a lock was a second write of each.
MARK_SENT = Sql("""
    UPDATE notification
       SET status = 'SENT', next_attempt_at = NULL, updated_at = $2
     WHERE event_id = ANY($1::uuid[]) AND status = ANY($3::text[])
""")
LOCK_NOTIFICATIONS = Sql("""
    SELECT event_id, event_type, user_id, recipient_email, subject, body, source_topic, trace_id, status, retry_count,
           tries, sequence, last_error, next_attempt_at
      FROM notification
     WHERE event_id = ANY($1::uuid[])
     ORDER BY event_id
       FOR UPDATE
""")
UPDATE_FAILED = Sql("""
    UPDATE notification AS n
       SET status = new.status, retry_count = new.retry_count, last_error = new.last_error,
           next_attempt_at = new.next_attempt_at, sequence = new.sequence, updated_at = $7
      FROM unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::timestamptz[], $6::bigint[])
        AS new(event_id, status, retry_count, last_error, next_attempt_at, sequence)
     WHERE n.event_id = new.event_id
""")
INSERT_DEAD_LETTERS = Sql("""
    INSERT INTO notification_dead_letter (id, event_id, event_type, user_id, recipient_email, subject, body, status,
                                          retries, reason, source_topic, created_at, updated_at)
    SELECT new.id, n.event_id, n.event_type, n.user_id, n.recipient_email, n.subject, n.body, 'DEAD_LETTER',
           n.retry_count, n.last_error, n.source_topic, $3, $3
      FROM unnest($1::uuid[], $2::uuid[]) AS new(id, event_id)
      JOIN notification AS n USING (event_id)
""")
TRY_AGAIN = Sql("""
    UPDATE notification AS n
       SET status = 'PENDING', next_attempt_at = NULL, tries = n.tries + 1, updated_at = $2
      FROM (SELECT event_id FROM notification
             WHERE event_id IN (SELECT event_id FROM notification
                                 WHERE next_attempt_at <= $1 ORDER BY next_attempt_at LIMIT $3)
               AND status = ANY($4::text[])
             ORDER BY event_id FOR UPDATE) AS due
     WHERE n.event_id = due.event_id
    RETURNING n.event_id, n.recipient_email, n.subject, n.body
""")
REVIVE = Sql("""
    UPDATE notification
       SET status = 'PENDING', retry_count = 0, tries = tries + 1, updated_at = $2
     WHERE event_id = $1 AND status = ANY($3::text[])
    RETURNING event_id, recipient_email, subject, body
""")
DEAD_LETTER = Sql("SELECT event_id, status FROM notification_dead_letter WHERE id = $1")
MARK_REQUEUED = Sql("""
    UPDATE notification_dead_letter SET status = 'REQUEUED', updated_at = $2 WHERE id = $1 AND status = 'DEAD_LETTER'
""")
OF_USER = Sql("""
    SELECT event_id, event_type, user_id, recipient_email, subject, body, status, retry_count, last_error, created_at,
           updated_at
      FROM notification
     WHERE user_id = $1
     ORDER BY created_at DESC, event_id DESC
     LIMIT $2
""")
FAILED = Sql("""
    SELECT event_id, event_type, user_id, recipient_email, subject, body, status, retry_count, last_error, created_at,
           updated_at
      FROM notification
     WHERE next_attempt_at IS NOT NULL
     ORDER BY created_at, event_id
     LIMIT $1
""")
DEAD_LETTERS = Sql("""
    SELECT id, event_id, event_type, user_id, recipient_email, subject, body, status, retries, reason, source_topic,
           created_at, updated_at
      FROM notification_dead_letter
     ORDER BY created_at DESC, id DESC
     LIMIT $1
""")


async def mark_sent(tx: Transaction, event_ids: Sequence[UUID]) -> int:
    """These mails are out; says how many were not known to be."""
    return await tx.execute(MARK_SENT, event_ids, tx.now, SENDABLE)


async def lock(tx: Transaction, event_ids: Sequence[UUID]) -> dict[UUID, Notification]:
    """These notifications, locked."""
    rows = await tx.fetch(LOCK_NOTIFICATIONS, event_ids)
    return {row["event_id"]: notification(row) for row in rows}


async def keep_failures(tx: Transaction, failed: Sequence[Notification]) -> None:
    """Write what became of failed tries; those given up also become dead letters."""
    await tx.execute(
        UPDATE_FAILED,
        [each.event_id for each in failed],
        [each.status for each in failed],
        [each.retry_count for each in failed],
        [each.last_error for each in failed],
        [each.next_attempt_at for each in failed],
        [each.sequence for each in failed],
        tx.now,
    )
    if dead := [each.event_id for each in failed if each.status is Status.DEAD_LETTER]:
        await tx.execute(INSERT_DEAD_LETTERS, [tx.new_id() for _ in dead], dead, tx.now)


async def try_again(tx: Transaction, *, due: datetime, limit: int) -> int:
    """Send failed mails whose next try is due by then once more; says how many."""
    rows = await tx.fetch(TRY_AGAIN, due, tx.now, limit, RETRIABLE)
    intend(tx, [_mail(row) for row in rows])
    return len(rows)


@dataclass(frozen=True, slots=True)
class Requeue:
    """What became of an operator's wish: the dead letter's status before it, None for an unknown one."""

    was: str | None


async def requeue(tx: Transaction, number: UUID) -> Requeue:
    """Send a mail that was given up once more, with new patience; of two who ask at once one is told REQUEUED."""
    found = await tx.fetchrow(DEAD_LETTER, number)
    if found is None:
        return Requeue(None)
    await tx.fetch(LOCK_NOTIFICATIONS, [found["event_id"]])
    if await tx.execute(MARK_REQUEUED, number, tx.now) == 0:
        return Requeue("REQUEUED")
    row = await tx.fetchrow(REVIVE, found["event_id"], tx.now, REVIVABLE)
    if row is not None:
        intend(tx, [_mail(row)])
    return Requeue("DEAD_LETTER")


async def of_user(database: Database, user_id: int, limit: int) -> list[Record]:
    """A user's notifications, newest first."""
    return await database.fetch(OF_USER, user_id, limit)


async def failed(database: Database, limit: int) -> list[Record]:
    """Notifications that wait for their next try, oldest first."""
    return await database.fetch(FAILED, limit)


async def dead_letters(database: Database, limit: int) -> list[Record]:
    """Dead letters, newest first."""
    return await database.fetch(DEAD_LETTERS, limit)


def _mail(row: Record) -> Mail:
    return Mail(row["event_id"], row["recipient_email"], row["subject"], row["body"])
