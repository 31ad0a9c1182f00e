"""All SQL of the order service; every statement takes whole batches, rows are locked in the order of their ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from dovecote.database import Database, Transaction
from dovecote.events import Delivery, Event
from dovecote.sql import Sql
from ecom.contracts.order import OrderLine
from ecom.order.domain import MoneyMoved, Move, NewOrder, Order, Standing, Status

LIST_MAX = 1000

INSERT_ORDERS = Sql("""
    INSERT INTO orders (id, user_id, currency, status, reason, paid, held, sequence, total_amount, email,
                        payment_method, items, trace_id, deadline, created_at, updated_at)
    SELECT new.id, new.user_id, new.currency, 'PAYMENT_PENDING', NULL, false, false, 1, new.total_amount, new.email,
           new.payment_method, new.items::jsonb, new.trace_id, $9, $10, $10
      FROM unnest($1::text[], $2::bigint[], $3::text[], $4::numeric[], $5::text[], $6::text[], $7::text[],
                  $8::text[])
        AS new(id, user_id, currency, total_amount, email, payment_method, items, trace_id)
""")
LOCK_ORDERS = Sql("""
    SELECT id, user_id, status, reason, paid, held, sequence, trace_id
      FROM orders
     WHERE id = ANY($1::text[])
     ORDER BY id
       FOR UPDATE
""")
UPDATE_ORDERS = Sql("""
    UPDATE orders AS o
       SET status = m.status, reason = m.reason, paid = m.paid, held = m.held, sequence = m.sequence,
           updated_at = $7
      FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::boolean[], $6::bigint[])
        AS m(id, status, reason, paid, held, sequence)
     WHERE o.id = m.id
""")
INSERT_TRANSITIONS = Sql("""
    INSERT INTO order_transition (order_id, sequence, from_status, to_status, reason, at)
    SELECT t.order_id, t.sequence, t.from_status, t.to_status, t.reason, $6
      FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[])
        AS t(order_id, sequence, from_status, to_status, reason)
""")
# Candidates only: the sweep locks them by id afterwards and looks again.
FIND_OVERDUE = Sql("""
    SELECT id FROM orders WHERE status = 'PAYMENT_PENDING' AND deadline <= $1 ORDER BY deadline LIMIT $2
""")
READ_ORDERS = Sql("""
    SELECT id, user_id, currency, status, reason, total_amount, items, created_at, updated_at
      FROM orders
     WHERE id = ANY($1::text[])
""")
LIST_ORDERS = Sql("""
    SELECT id, user_id, currency, status, reason, total_amount, items, created_at, updated_at
      FROM orders
     WHERE user_id = $1
     ORDER BY created_at DESC, id DESC
     LIMIT $2
""")
KNOWN_ORDERS = Sql("""
    SELECT id FROM orders WHERE id = ANY($1::text[])
""")
# A key whose order is being placed in another process is left alone: nobody waits for that transaction, and its lock
# ends with it, however it ends. A key that has its order is not locked, so that repeats do not refuse each other.
CLAIM_KEYS = Sql("""
    WITH fresh AS MATERIALIZED (
        SELECT new.key, new.body_hash, new.order_id
          FROM unnest($1::text[], $2::bytea[], $3::text[]) AS new(key, body_hash, order_id)
         WHERE NOT EXISTS (SELECT FROM idempotency_key AS known WHERE known.key = new.key)
    )
    INSERT INTO idempotency_key (key, body_hash, order_id, created_at)
    SELECT fresh.key, fresh.body_hash, fresh.order_id, $4
      FROM fresh
     WHERE pg_try_advisory_xact_lock(hashtextextended(fresh.key, 1))
     ORDER BY fresh.key
    ON CONFLICT (key) DO NOTHING
    RETURNING key
""")
READ_PLACED = Sql("""
    SELECT k.key, k.body_hash, o.id, o.user_id, o.currency, o.status, o.reason, o.total_amount, o.items, o.created_at,
           o.updated_at
      FROM idempotency_key AS k
      JOIN orders AS o ON o.id = k.order_id
     WHERE k.key = ANY($1::text[])
""")
INSERT_SETTLEMENT_FACTS = Sql("""
    INSERT INTO settlement_fact (event_id, order_id, event_type, payment_id, amount, currency, reason,
                                 occurred_at, recorded_at)
    SELECT f.event_id, f.order_id, f.event_type, f.payment_id, f.amount, f.currency, f.reason, f.occurred_at, $9
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::numeric[], $6::text[], $7::text[],
                  $8::timestamptz[])
        AS f(event_id, order_id, event_type, payment_id, amount, currency, reason, occurred_at)
     ORDER BY f.event_id
    ON CONFLICT (event_id) DO NOTHING
""")
INSERT_FOREIGN_FACTS = Sql("""
    INSERT INTO foreign_fact (event_id, order_id, event_type, producer, occurred_at, recorded_at)
    SELECT f.event_id, f.order_id, f.event_type, f.producer, f.occurred_at, $6
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
        AS f(event_id, order_id, event_type, producer, occurred_at)
     ORDER BY f.event_id
    ON CONFLICT (event_id) DO NOTHING
""")
DELETE_OLD_KEYS = Sql("""
    DELETE FROM idempotency_key
     WHERE key IN (SELECT key FROM idempotency_key WHERE created_at < $1 ORDER BY key LIMIT $2 FOR UPDATE)
""")
DELETE_OLD_FOREIGN_FACTS = Sql("""
    DELETE FROM foreign_fact
     WHERE event_id IN (SELECT event_id FROM foreign_fact WHERE recorded_at < $1 ORDER BY event_id LIMIT $2 FOR UPDATE)
""")
OLDEST_PENDING = Sql("""
    SELECT created_at, deadline
      FROM orders
     WHERE status = 'PAYMENT_PENDING' AND deadline >= $1
     ORDER BY deadline
     LIMIT 1
""")

_lines = msgspec.json.Decoder(tuple[OrderLine, ...])
_encode = msgspec.json.Encoder().encode


async def insert(tx: Transaction, orders: Sequence[Order], placings: Sequence[NewOrder], deadline: datetime) -> None:
    """Store new orders, all with one deadline."""
    await tx.execute(
        INSERT_ORDERS,
        [order.id for order in orders],
        [order.user_id for order in orders],
        [order.currency for order in orders],
        [order.total_amount for order in orders],
        [new.email for new in placings],
        [new.payment_method for new in placings],
        [_encode(order.items).decode() for order in orders],
        [new.because.trace_id for new in placings],
        deadline,
        tx.now,
    )


async def lock(tx: Transaction, order_ids: set[str]) -> dict[str, Standing]:
    """Lock the orders that exist and say how they stand."""
    rows = await tx.fetch(LOCK_ORDERS, sorted(order_ids))
    return {
        row["id"]: Standing(
            row["id"],
            row["user_id"],
            Status(row["status"]),
            row["reason"],
            row["paid"],
            row["held"],
            row["sequence"],
            row["trace_id"],
        )
        for row in rows
    }


async def write(tx: Transaction, moves: Sequence[Move]) -> None:
    """Write how moved orders stand now, and each change of status; the rows are locked already."""
    standing = {move.after.id: move.after for move in moves if move.after is not move.before}
    if not standing:
        return
    after = [standing[order_id] for order_id in sorted(standing)]
    await tx.execute(
        UPDATE_ORDERS,
        [order.id for order in after],
        [order.status for order in after],
        [order.reason for order in after],
        [order.paid for order in after],
        [order.held for order in after],
        [order.sequence for order in after],
        tx.now,
    )
    changes = [move for move in moves if move.after.status is not move.before.status]
    if changes:
        await tx.execute(
            INSERT_TRANSITIONS,
            [move.after.id for move in changes],
            [move.after.sequence for move in changes],
            [move.before.status for move in changes],
            [move.after.status for move in changes],
            [move.after.reason for move in changes],
            tx.now,
        )


async def overdue(database: Database, limit: int, *, lane: str) -> set[str]:
    """Some orders that nobody has answered in time, the longest overdue first."""
    return {row["id"] for row in await database.fetch(FIND_OVERDUE, database.now, limit, lane=lane)}


async def read(source: Database | Transaction, order_ids: Sequence[str]) -> dict[str, Order]:
    """The orders that exist, by id."""
    return {row["id"]: _order(row) for row in await source.fetch(READ_ORDERS, list(order_ids))}


async def of_user(database: Database, user_id: int, limit: int) -> list[Order]:
    """A customer's orders, newest first."""
    return [_order(row) for row in await database.fetch(LIST_ORDERS, user_id, min(limit, LIST_MAX))]


async def claim_keys(tx: Transaction, claims: Mapping[str, tuple[bytes, str]]) -> set[str]:
    """Take idempotency keys, each for (body hash, order id), without waiting for anybody; says which are ours now."""
    keys = sorted(claims)
    rows = await tx.fetch(CLAIM_KEYS, keys, [claims[key][0] for key in keys], [claims[key][1] for key in keys], tx.now)
    return {row["key"] for row in rows}


async def placed(source: Database | Transaction, keys: Sequence[str]) -> dict[str, tuple[bytes, Order]]:
    """The orders that were placed under these keys, each with the hash of its body."""
    return {row["key"]: (row["body_hash"], _order(row)) for row in await source.fetch(READ_PLACED, list(keys))}


async def known(tx: Transaction, order_ids: set[str]) -> set[str]:
    """Which of these orders are ours."""
    return {row["id"] for row in await tx.fetch(KNOWN_ORDERS, sorted(order_ids))}


async def record_settlements(tx: Transaction, facts: Sequence[Delivery[MoneyMoved]]) -> None:
    """Keep what payment said about taken and returned money."""
    await tx.execute(
        INSERT_SETTLEMENT_FACTS,
        [fact.event_id for fact in facts],
        [fact.event.order_id for fact in facts],
        [fact.event_type for fact in facts],
        [fact.event.payment_id for fact in facts],
        [Decimal(fact.event.amount) for fact in facts],
        [fact.event.currency for fact in facts],
        [fact.event.reason for fact in facts],
        [fact.event.occurred_at for fact in facts],
        tx.now,
    )


async def record_foreign(tx: Transaction, facts: Sequence[tuple[str, Delivery[Event]]]) -> None:
    """Keep facts about orders that are not ours, each with the order's id."""
    await tx.execute(
        INSERT_FOREIGN_FACTS,
        [fact.event_id for _, fact in facts],
        [order_id for order_id, _ in facts],
        [fact.event_type for _, fact in facts],
        [fact.producer for _, fact in facts],
        [fact.occurred_at for _, fact in facts],
        tx.now,
    )


async def forget(tx: Transaction, *, keys_after: timedelta, facts_after: timedelta, limit: int) -> int:
    """Delete some idempotency keys and facts that are past their time; says how many."""
    keys = await tx.execute(DELETE_OLD_KEYS, tx.now - keys_after, limit)
    return keys + await tx.execute(DELETE_OLD_FOREIGN_FACTS, tx.now - facts_after, limit)


async def oldest_pending(database: Database, since: datetime) -> tuple[datetime, datetime] | None:
    """When the oldest order without a verdict was placed, and its deadline, of those whose deadline is not before."""
    row = await database.fetchrow(OLDEST_PENDING, since)
    return (row["created_at"], row["deadline"]) if row else None


def _order(row: Mapping[str, Any]) -> Order:
    return Order(
        row["id"],
        row["user_id"],
        row["currency"],
        Status(row["status"]),
        row["reason"],
        row["total_amount"],
        _lines.decode(row["items"]),
        row["created_at"],
        row["updated_at"],
    )
