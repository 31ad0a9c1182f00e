"""All SQL of the notification service.

Lock order, the same everywhere: order_recipient by order_id → waiting_news (under its order's lock) → notification
by event_id → dead letters. Whom an order belongs to never changes once it is known, so reading it needs no lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from dovecote.database import Database, Record, Transaction
from dovecote.errors import DovecoteError
from dovecote.sql import Sql, one_or_all
from ecom.notification.domain import Mail, Named, Names, News, Notification, Post, Recipient, Status

MAIL = "mail"

SELECT_RECIPIENTS = Sql("""
    SELECT order_id, user_id, email FROM order_recipient WHERE order_id = ANY($1::text[]) AND user_id IS NOT NULL
""")
INSERT_RECIPIENTS = Sql("""
    INSERT INTO order_recipient (order_id, user_id, email, created_at)
    SELECT new.order_id, new.user_id, new.email, $4
      FROM unnest($1::text[], $2::bigint[], $3::text[]) AS new(order_id, user_id, email)
     ORDER BY new.order_id
    ON CONFLICT (order_id) DO NOTHING
    RETURNING order_id
""")
LOCK_RECIPIENTS = Sql("""
    SELECT order_id, user_id, email FROM order_recipient WHERE order_id = ANY($1::text[]) ORDER BY order_id FOR UPDATE
""")
NAME_RECIPIENTS = Sql("""
    UPDATE order_recipient AS r
       SET user_id = new.user_id, email = new.email
      FROM unnest($1::text[], $2::bigint[], $3::text[]) AS new(order_id, user_id, email)
     WHERE r.order_id = new.order_id
""")
INSERT_WAITING = Sql("""
    INSERT INTO waiting_news (event_id, event_type, order_id, user_id, facts, source_topic, trace_id, created_at)
    SELECT new.event_id, new.event_type, new.order_id, new.user_id, new.facts, new.source_topic, new.trace_id, $8
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bytea[], $6::text[], $7::text[])
        AS new(event_id, event_type, order_id, user_id, facts, source_topic, trace_id)
     ORDER BY new.event_id
    ON CONFLICT (event_id) DO NOTHING
""")
TAKE_WAITING = Sql("""
    DELETE FROM waiting_news
     WHERE order_id = ANY($1::text[])
    RETURNING event_id, event_type, order_id, facts, source_topic, trace_id
""")
TAKE_OVERDUE = Sql("""
    DELETE FROM waiting_news
     WHERE order_id = ANY($1::text[]) AND user_id IS NOT NULL AND created_at <= $2
    RETURNING event_id, event_type, order_id, user_id, facts, source_topic, trace_id
""")
OVERDUE_ORDERS = Sql("""
    SELECT DISTINCT order_id
      FROM (SELECT order_id FROM waiting_news
             WHERE created_at <= $1 AND user_id IS NOT NULL ORDER BY created_at LIMIT $2) AS overdue
""")
DELETE_WAITING = Sql("""
    DELETE FROM waiting_news
     WHERE event_id IN (SELECT event_id FROM waiting_news WHERE created_at <= $1
                         ORDER BY event_id LIMIT $2 FOR UPDATE SKIP LOCKED)
""")
DELETE_AWAITED = Sql("""
    DELETE FROM order_recipient
     WHERE order_id IN (SELECT order_id FROM order_recipient WHERE user_id IS NULL AND created_at <= $1
                         ORDER BY order_id LIMIT $2 FOR UPDATE SKIP LOCKED)
""")
# Type and topic are one for all, or one for each.
INSERT_NOTIFICATIONS = Sql("""
    INSERT INTO notification (event_id, event_type, order_id, user_id, recipient_email, subject, body, source_topic,
                              trace_id, status, retry_count, tries, sequence, created_at, updated_at)
    SELECT new.event_id, coalesce(new.event_type, ($2::text[])[1]), new.order_id, new.user_id, new.recipient_email,
           new.subject, new.body, coalesce(new.source_topic, ($8::text[])[1]), new.trace_id, 'PENDING', 0, 1, 0, $10,
           $10
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[],
                  $9::text[])
        AS new(event_id, event_type, order_id, user_id, recipient_email, subject, body, source_topic, trace_id)
     ORDER BY new.event_id
    ON CONFLICT (event_id) DO NOTHING
    RETURNING event_id
""")


class RecipientForgotten(DovecoteError):
    """An awaited order was cleaned up while it was being locked; the same batch finds it gone and goes on."""

    retriable = True


class Written(msgspec.Struct, frozen=True):
    """A mail about one event, written and not yet stored."""

    order_id: str
    event_type: str
    user_id: int
    source_topic: str
    trace_id: str
    mail: Mail


class Waiting(msgspec.Struct, frozen=True):
    """News of an order that is not known."""

    event_id: UUID
    event_type: str
    order_id: str
    source_topic: str
    trace_id: str
    news: News


async def recipients(tx: Transaction, order_ids: Iterable[str]) -> dict[str, Recipient]:
    """Whom these orders belong to, as far as it is known."""
    return _known(await tx.fetch(SELECT_RECIPIENTS, list(order_ids)))


async def await_recipients(tx: Transaction, order_ids: Iterable[str]) -> dict[str, Recipient]:
    """Lock orders that seemed unknown, so that news may be left for them; returns those that are known by now."""
    wanted = sorted(set(order_ids))
    nobody: list[None] = [None] * len(wanted)
    await tx.execute(INSERT_RECIPIENTS, wanted, nobody, nobody, tx.now)
    rows = await tx.fetch(LOCK_RECIPIENTS, wanted)
    if len(rows) < len(wanted):
        raise RecipientForgotten("An awaited order was cleaned up while it was being locked; try again.")
    return _known(rows)


async def introduce(tx: Transaction, orders: Mapping[str, Recipient]) -> list[Waiting]:
    """Remember whom orders belong to; returns the news that waited for them, in the order they came."""
    new = await tx.fetch(INSERT_RECIPIENTS, *_columns(orders), tx.now)
    made = {row["order_id"] for row in new}
    if not (others := [order_id for order_id in orders if order_id not in made]):
        return []
    rows = await tx.fetch(LOCK_RECIPIENTS, others)
    awaited = {row["order_id"]: orders[row["order_id"]] for row in rows if row["user_id"] is None}
    if len(rows) < len(others):
        raise RecipientForgotten("An awaited order was cleaned up while it was being locked; try again.")
    if not awaited:
        return []
    await tx.execute(NAME_RECIPIENTS, *_columns(awaited))
    return _waiting(await tx.fetch(TAKE_WAITING, list(awaited)))


async def keep_waiting(tx: Transaction, waiting: Sequence[Waiting]) -> None:
    """Leave news for an order that has not come; its row is locked."""
    await tx.execute(
        INSERT_WAITING,
        [each.event_id for each in waiting],
        [each.event_type for each in waiting],
        [each.order_id for each in waiting],
        [each.news.user_id for each in waiting],
        [msgspec.json.encode(each.news) for each in waiting],
        [each.source_topic for each in waiting],
        [each.trace_id for each in waiting],
        tx.now,
    )


async def overdue_orders(database: Database, before: datetime, limit: int) -> list[str]:
    """Orders whose news have waited too long and say themselves whose they are."""
    return [row["order_id"] for row in await database.fetch(OVERDUE_ORDERS, before, limit)]


async def take_overdue(tx: Transaction, order_ids: Sequence[str], before: datetime) -> list[Waiting]:
    """The news of these orders that have waited too long, taken out."""
    await tx.fetch(LOCK_RECIPIENTS, order_ids)
    return _waiting(await tx.fetch(TAKE_OVERDUE, order_ids, before))


async def forget_awaited(tx: Transaction, before: datetime, limit: int) -> int:
    """Delete news whose order can no longer come, and the row that waited for it; says how many."""
    return await tx.execute(DELETE_WAITING, before, limit) + await tx.execute(DELETE_AWAITED, before, limit)


async def post(tx: Transaction, letters: Sequence[Written], *, together: int) -> None:
    """Store notifications, with intents to send so many mails at a time; an event that has one gets no second."""
    if not letters:
        return
    rows = await tx.fetch(
        INSERT_NOTIFICATIONS,
        [each.mail.event_id for each in letters],
        one_or_all([each.event_type for each in letters]),
        [each.order_id for each in letters],
        [each.user_id for each in letters],
        [each.mail.to for each in letters],
        [each.mail.subject for each in letters],
        [each.mail.body for each in letters],
        one_or_all([each.source_topic for each in letters]),
        [each.trace_id for each in letters],
        tx.now,
    )
    made = {row["event_id"] for row in rows}
    intend(tx, [each.mail for each in letters if each.mail.event_id in made], together=together)


def intend(tx: Transaction, mails: Sequence[Mail], *, together: int = 1) -> None:
    """Write down that mails are to be sent, so many with one intent: a try is one intent, and recorded once.

    One alone is whole; of many together only the names are written, which is all that the log needs.
    """
    for first in range(0, len(mails), together):
        chosen = mails[first : first + together]
        body = Post(tuple(chosen)) if together == 1 else Names(tuple(Named(mail.event_id) for mail in chosen))
        tx.intend(MAIL, key=str(tx.new_id()), subject=str(chosen[0].event_id), body=body)


def notification(row: Record) -> Notification:
    """A stored notification."""
    return Notification(
        event_id=row["event_id"],
        event_type=row["event_type"],
        user_id=row["user_id"],
        source_topic=row["source_topic"],
        mail=Mail(row["event_id"], row["recipient_email"], row["subject"], row["body"]),
        trace_id=row["trace_id"],
        status=Status(row["status"]),
        retry_count=row["retry_count"],
        tries=row["tries"],
        sequence=row["sequence"],
        last_error=row["last_error"],
        next_attempt_at=row["next_attempt_at"],
    )


def _known(rows: Iterable[Record]) -> dict[str, Recipient]:
    return {row["order_id"]: Recipient(row["user_id"], row["email"]) for row in rows if row["user_id"] is not None}


def _columns(orders: Mapping[str, Recipient]) -> tuple[list[Any], list[Any], list[Any]]:
    return list(orders), [each.user_id for each in orders.values()], [each.email for each in orders.values()]


def _waiting(rows: Iterable[Record]) -> list[Waiting]:
    return [
        Waiting(
            row["event_id"],
            row["event_type"],
            row["order_id"],
            row["source_topic"],
            row["trace_id"],
            msgspec.json.decode(row["facts"], type=News),
        )
        for row in sorted(rows, key=lambda row: row["event_id"])  # our ids are time-ordered
    ]
