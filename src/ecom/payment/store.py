"""All SQL about payments themselves; `calls_store` has what concerns the talk with the provider.

Lock order, the same in handlers, workers, HTTP and jobs: keys of clients → payments by order_id → intents (dovecote
writes them last; a worker that has lost a lease locks first those that are still its own). New payments are inserted
sorted before any is locked: whoever needs a row that another transaction is inserting waits there, holding only rows
that sort before it. A key that is locked elsewhere is not waited for; who has locked it writes it, after its payment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from dovecote.database import Database, Record, Transaction
from dovecote.sql import Sql
from ecom.payment.domain import Payment

INSERT_PAYMENTS = Sql("""
    INSERT INTO payment (order_id, payment_id, stage, status, settlement, unknown_since, amount_minor, currency,
                         user_id, payment_method, provider_payment_id, idempotency_key, failure_reason, sequence,
                         trace_id, created_at, updated_at)
    SELECT new.order_id, new.payment_id, new.stage, new.status, 'NONE', NULL, new.amount_minor, new.currency,
           new.user_id, new.payment_method, NULL, new.idempotency_key, new.failure_reason, 0, new.trace_id, $12, $12
      FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::bigint[],
                  $8::text[], $9::text[], $10::text[], $11::text[])
        AS new(order_id, payment_id, stage, status, amount_minor, currency, user_id, payment_method,
               idempotency_key, failure_reason, trace_id)
     ORDER BY new.order_id
    ON CONFLICT (order_id) DO NOTHING
    RETURNING order_id
""")
LOCK_PAYMENTS = Sql("""
    SELECT order_id, payment_id, stage, status, unknown_since, amount_minor, currency, user_id, payment_method,
           provider_payment_id, idempotency_key, failure_reason, sequence, trace_id, created_at, updated_at
      FROM payment
     WHERE order_id = ANY($1::text[])
     ORDER BY order_id
       FOR UPDATE
""")
UPDATE_STAGES = Sql("""
    UPDATE payment AS p
       SET stage = new.stage, status = new.status, settlement = new.settlement, unknown_since = new.unknown_since,
           provider_payment_id = new.provider_payment_id, failure_reason = new.failure_reason,
           sequence = new.sequence, updated_at = $9
      FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::text[],
                  $8::bigint[])
        AS new(order_id, stage, status, settlement, unknown_since, provider_payment_id, failure_reason, sequence)
     WHERE p.order_id = new.order_id
""")
# Before the stages: a payment may be asked for only with its amount (a CHECK).
UPDATE_TERMS = Sql("""
    UPDATE payment AS p
       SET amount_minor = new.amount_minor, currency = new.currency, user_id = new.user_id,
           payment_method = new.payment_method, idempotency_key = new.idempotency_key, updated_at = $7
      FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::text[])
        AS new(order_id, amount_minor, currency, user_id, payment_method, idempotency_key)
     WHERE p.order_id = new.order_id
""")
READ_PAYMENT = Sql("""
    SELECT order_id, payment_id, stage, status, unknown_since, amount_minor, currency, user_id, payment_method,
           provider_payment_id, idempotency_key, failure_reason, sequence, trace_id, created_at, updated_at
      FROM payment
     WHERE payment_id = $1
""")
FIND_BY_REFERENCE = Sql("""
    SELECT order_id FROM payment WHERE provider_payment_id = $1 OR payment_id = $1 ORDER BY order_id LIMIT 1
""")
# Nobody waits for a request that runs in another process, whose lock ends with its transaction, however that ends.
# What it has written is to be looked for by a statement after this one, which sees it if the lock was free.
LOCK_KEYS = Sql("""
    SELECT asked.key FROM unnest($1::text[]) AS asked(key)
     WHERE pg_try_advisory_xact_lock(hashtextextended(asked.key, 2))
""")
READ_KEYS = Sql("""
    SELECT key, order_id, body_hash, answer FROM intent_key WHERE key = ANY($1::text[])
""")
INSERT_KEYS = Sql("""
    INSERT INTO intent_key (key, order_id, body_hash, answer, created_at)
    SELECT new.key, new.order_id, new.body_hash, new.answer, $5
      FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[]) AS new(key, order_id, body_hash, answer)
     ORDER BY new.key
    ON CONFLICT (key) DO NOTHING
""")
INSERT_WEBHOOK = Sql("""
    INSERT INTO webhook_event (provider_event_id, order_id, event_type, received_at)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (provider_event_id) DO NOTHING
""")
# A page of payments that nobody has an answer about: UNKNOWN since before $2, or ($3) waiting for a webhook.
UNSETTLED_PAGE = Sql("""
    SELECT order_id, payment_id, stage, status, unknown_since, amount_minor, currency, user_id, payment_method,
           provider_payment_id, idempotency_key, failure_reason, sequence, trace_id, created_at, updated_at
      FROM payment
     WHERE order_id > $1
       AND (unknown_since < $2
            OR ($3 AND stage IN ('AUTHORIZING', 'AUTHORIZING_ENDED') AND created_at < $2))
     ORDER BY order_id
     LIMIT $4
""")
OLDEST_UNKNOWN = Sql("""
    SELECT min(unknown_since) FROM payment WHERE unknown_since IS NOT NULL
""")
DELETE_WEBHOOKS = Sql("""
    DELETE FROM webhook_event
     WHERE provider_event_id IN (SELECT provider_event_id FROM webhook_event WHERE received_at < $1
                                  ORDER BY provider_event_id LIMIT $2 FOR UPDATE SKIP LOCKED)
""")
# Orders that ended and were never heard of again: nothing can speak of them any more.
DELETE_TOMBSTONES = Sql("""
    DELETE FROM payment
     WHERE order_id IN (SELECT order_id FROM payment WHERE stage = 'ENDED' AND user_id IS NULL AND updated_at < $1
                         ORDER BY order_id LIMIT $2 FOR UPDATE SKIP LOCKED)
""")


@dataclass(frozen=True, slots=True)
class Key:
    """A client's idempotency key: whose it is, of which body, and what it was answered (not known of old ones)."""

    order_id: str
    body_hash: bytes | None
    answer: bytes | None


async def insert_new(tx: Transaction, payments: Sequence[Payment]) -> set[str]:
    """Insert payments that nobody has inserted before; says of which orders."""
    if not payments:
        return set()
    rows = await tx.fetch(
        INSERT_PAYMENTS,
        [each.order_id for each in payments],
        [each.payment_id for each in payments],
        [each.stage.value for each in payments],
        [each.status.value for each in payments],
        [each.amount_minor for each in payments],
        [each.currency for each in payments],
        [each.user_id for each in payments],
        [each.payment_method for each in payments],
        [each.idempotency_key for each in payments],
        [each.failure_reason for each in payments],
        [each.trace_id for each in payments],
        tx.now,
    )
    return {row["order_id"] for row in rows}


async def lock(tx: Transaction, order_ids: Iterable[str]) -> dict[str, Payment]:
    """The payments of these orders, locked in the order of their ids."""
    wanted = sorted(set(order_ids))
    if not wanted:
        return {}
    return {row["order_id"]: _payment(row) for row in await tx.fetch(LOCK_PAYMENTS, wanted)}


async def update(tx: Transaction, changes: Sequence[tuple[Payment, Payment]]) -> None:
    """Write payments that are locked, each given as it was and as it is now; terms seldom change, stages always."""
    await _update_terms(tx, [after for before, after in changes if _terms(before) != _terms(after)])
    moved = [after for before, after in changes if _moves(before) != _moves(after)]
    if not moved:
        return
    await tx.execute(
        UPDATE_STAGES,
        [each.order_id for each in moved],
        [each.stage.value for each in moved],
        [each.status.value for each in moved],
        [each.settlement.value for each in moved],
        [each.unknown_since for each in moved],
        [each.provider_payment_id for each in moved],
        [each.failure_reason for each in moved],
        [each.sequence for each in moved],
        tx.now,
    )


async def _update_terms(tx: Transaction, payments: Sequence[Payment]) -> None:
    if not payments:
        return
    await tx.execute(
        UPDATE_TERMS,
        [each.order_id for each in payments],
        [each.amount_minor for each in payments],
        [each.currency for each in payments],
        [each.user_id for each in payments],
        [each.payment_method for each in payments],
        [each.idempotency_key for each in payments],
        tx.now,
    )


async def read(database: Database, payment_id: str) -> Payment | None:
    """One payment as it stands."""
    row = await database.fetchrow(READ_PAYMENT, payment_id)
    return _payment(row) if row else None


async def order_of(tx: Transaction, reference: str) -> str | None:
    """The order of the payment with this id, the provider's or ours."""
    found: str | None = await tx.fetchval(FIND_BY_REFERENCE, reference)
    return found


async def lock_keys(tx: Transaction, keys: Iterable[str]) -> set[str]:
    """Lock keys of clients for this transaction; those that are locked elsewhere are left out, not waited for."""
    return {row["key"] for row in await tx.fetch(LOCK_KEYS, sorted(keys))}


async def read_keys(source: Database | Transaction, keys: Iterable[str]) -> dict[str, Key]:
    """The keys that have been answered."""
    rows = await source.fetch(READ_KEYS, list(keys))
    return {row["key"]: Key(row["order_id"], row["body_hash"], row["answer"]) for row in rows}


async def insert_keys(tx: Transaction, keys: Mapping[str, Key]) -> None:
    """Remember what keys were answered; they are locked."""
    if not keys:
        return
    answered = keys.values()
    await tx.execute(
        INSERT_KEYS,
        list(keys),
        [each.order_id for each in answered],
        [each.body_hash for each in answered],
        [each.answer for each in answered],
        tx.now,
    )


async def note_webhook(tx: Transaction, provider_event_id: str, order_id: str, event_type: str) -> bool:
    """Remember a webhook; False where it has come before."""
    return await tx.execute(INSERT_WEBHOOK, provider_event_id, order_id, event_type, tx.now) == 1


async def unsettled(
    database: Database, *, after: str, before: datetime, with_pending: bool, limit: int
) -> list[Payment]:
    """A page of the payments about which the provider must be asked, by order id."""
    rows = await database.fetch(UNSETTLED_PAGE, after, before, with_pending, limit)
    return [_payment(row) for row in rows]


async def oldest_unknown(database: Database) -> datetime | None:
    """Since when the longest open question stands."""
    since: datetime | None = await database.fetchval(OLDEST_UNKNOWN)
    return since


async def forget(tx: Transaction, before: datetime, limit: int) -> int:
    """Delete what nothing can refer to any more; says how much there was."""
    webhooks = await tx.execute(DELETE_WEBHOOKS, before, limit)
    return webhooks + await tx.execute(DELETE_TOMBSTONES, before, limit)


def _payment(row: Record) -> Payment:
    return msgspec.convert(dict(row), Payment)


def _terms(payment: Payment) -> tuple[object, ...]:
    return (
        payment.amount_minor,
        payment.currency,
        payment.user_id,
        payment.payment_method,
        payment.idempotency_key,
    )


def _moves(payment: Payment) -> tuple[object, ...]:
    return payment.stage, payment.unknown_since, payment.failure_reason, payment.provider_payment_id
