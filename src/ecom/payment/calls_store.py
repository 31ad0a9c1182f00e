"""All SQL about the talk with the provider: its dead letters, and the switch that stops it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dovecote.database import Database, Record, Transaction
from dovecote.intents import Intent
from dovecote.sql import Sql

LIST_MAX = 100

# The attempts are counted from the last time that an operator asked for it again.
NOTE_UNANSWERED = Sql("""
    INSERT INTO provider_dead_letter (kind, key, order_id, attempts, status, failure_reason, created_at, updated_at)
    SELECT new.kind, new.key, new.order_id, new.attempts, 'PENDING', new.reason, $6, $6
      FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[])
        AS new(kind, key, order_id, attempts, reason)
     WHERE new.attempts >= $7 + coalesce((SELECT max(old.attempts) FROM provider_dead_letter AS old
                                           WHERE old.key = new.key AND old.status = 'REQUEUED'), 0)
     ORDER BY new.key
    ON CONFLICT (key) WHERE status = 'PENDING'
    DO UPDATE SET attempts = excluded.attempts, failure_reason = excluded.failure_reason, updated_at = $6
    RETURNING (xmax = 0) AS fresh
""")
LOCK_ANSWERED = Sql("""
    SELECT id FROM provider_dead_letter
     WHERE key = ANY($1::text[]) AND status = 'PENDING'
     ORDER BY key
       FOR UPDATE
""")
RESOLVE = Sql("""
    UPDATE provider_dead_letter AS d
       SET status = 'REQUEUED', resolved_at = $2, updated_at = $2, requeued_payment_id = p.payment_id
      FROM payment AS p
     WHERE d.id = ANY($1::bigint[]) AND d.status = 'PENDING' AND p.order_id = d.order_id
    RETURNING d.kind, d.key, d.order_id, d.requeued_payment_id
""")
LIST_DEAD_LETTERS = Sql("""
    SELECT d.id, d.kind, d.key, d.order_id, p.user_id, p.amount_minor, p.currency, d.attempts, d.status,
           d.failure_reason, d.requeued_payment_id, d.created_at, d.updated_at, d.resolved_at
      FROM provider_dead_letter AS d
      LEFT JOIN payment AS p ON p.order_id = d.order_id
     ORDER BY d.id DESC
     LIMIT $1
""")
ASKED_LATELY = Sql("""
    SELECT subject FROM intent WHERE kind = $1 AND key = ANY($2::text[]) AND (done_at IS NULL OR done_at > $3)
""")
READ_SWITCH = Sql("""
    SELECT outage FROM provider_switch WHERE single
""")
SET_SWITCH = Sql("""
    INSERT INTO provider_switch (single, outage, updated_at) VALUES (true, $1, $2)
    ON CONFLICT (single) DO UPDATE SET outage = excluded.outage, updated_at = excluded.updated_at
""")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An operation the provider has not answered after many tries, as operators see it."""

    id: int
    kind: str
    key: str
    order_id: str
    user_id: int | None
    amount_minor: int | None
    currency: str | None
    attempts: int
    status: str
    failure_reason: str | None
    requeued_payment_id: str | None
    created_at: datetime
    updated_at: datetime
    resolved_at: datetime | None


@dataclass(frozen=True, slots=True)
class Unanswered:
    """An intent that the provider gave no answer to, and why not."""

    intent: Intent
    reason: str | None


async def note_unanswered(tx: Transaction, unanswered: Sequence[Unanswered], *, attempts_max: int) -> int:
    """Show operators what has gone unanswered for too long; says how many are new among it."""
    rows = await tx.fetch(
        NOTE_UNANSWERED,
        [each.intent.kind for each in unanswered],
        [each.intent.key for each in unanswered],
        [each.intent.subject for each in unanswered],
        [each.intent.attempts for each in unanswered],
        [each.reason for each in unanswered],
        tx.now,
        attempts_max,
    )
    return sum(row["fresh"] for row in rows)


async def resolve_answered(tx: Transaction, keys: Sequence[str]) -> None:
    """Close the dead letters of operations that the provider has answered after all."""
    found = await tx.fetch(LOCK_ANSWERED, list(keys))
    if found:
        await tx.execute(RESOLVE, [row["id"] for row in found], tx.now)


async def asked_lately(tx: Transaction, kind: str, keys: Sequence[str], *, since: datetime) -> set[str]:
    """Of these operations, the orders whose question had no answer by then."""
    return {row["subject"] for row in await tx.fetch(ASKED_LATELY, kind, list(keys), since)}


async def requeue(tx: Transaction, dead_letter_id: int) -> Record | None:
    """Close one dead letter because an operator has it asked again; None where it is unknown or closed."""
    return await tx.fetchrow(RESOLVE, [dead_letter_id], tx.now)


async def dead_letters(database: Database) -> list[DeadLetter]:
    """The newest."""
    return [DeadLetter(**row) for row in await database.fetch(LIST_DEAD_LETTERS, LIST_MAX)]


async def read_switch(database: Database) -> bool | None:
    """What an operator has switched; None where nobody has."""
    outage: bool | None = await database.fetchval(READ_SWITCH)
    return outage


async def set_switch(tx: Transaction, *, outage: bool) -> None:
    """Keep it for every process and the next start."""
    await tx.execute(SET_SWITCH, outage, tx.now)
