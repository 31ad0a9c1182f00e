"""I18, and the mails of I13: what customers are told."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4

from ecom.audit import effects, mails
from tests.audit.books import SOLD, Books
from tests.audit.plants.planting import breaks

POST = """
    INSERT INTO intent (kind, key, subject, body, trace_id, status, attempts, due_at, created_at)
    SELECT 'mail', 'key ' || n, e, convert_to('{"mails":[{"event_id":"' || e || '"}]}', 'UTF8'), 't', 'PENDING', 0,
           now(), now()
      FROM generate_series(1, 2) AS n, (VALUES ('019a0000-0000-7000-8000-000000000000')) AS one(e)
"""


async def arrived(books: Books) -> frozenset[UUID]:
    """The keys of all mails that are SENT."""
    await books.use("notification")
    rows = await books.connection.fetch("SELECT event_id FROM notification WHERE status = 'SENT'")
    return frozenset(UUID(str(row["event_id"])) for row in rows)


@breaks(effects.repeated_mails)
async def a_mail_twice(books: Books) -> None:
    """One event, two notifications, of which one names no order that anybody would count."""
    await books.run(
        "notification",
        """ALTER TABLE notification DROP CONSTRAINT notification_pkey;
           INSERT INTO notification
           SELECT (jsonb_populate_record(n, '{"order_id": "foreign"}')).* FROM notification AS n
            WHERE event_type = 'order.confirmed.v1';
           INSERT INTO order_recipient VALUES ('foreign', 9, NULL, now())""",
    )


@breaks(effects.repeated_mails)
async def a_mail_in_two_intents(books: Books) -> None:
    """One mail is about to be sent twice."""
    await books.run("notification", POST)


@breaks(mails.told_twice)
async def a_template_twice(books: Books) -> None:
    """A sold order was confirmed to its customer under two keys."""
    await books.use("notification")
    await books.mail("order.confirmed.v1", uuid4(), SOLD)


@breaks(mails.not_told)
async def an_event_without_a_mail(books: Books) -> None:
    """Notification has heard of an event, and wrote nothing."""
    await books.run(
        "notification", "DELETE FROM notification WHERE order_id = 'ord_sold' AND event_type = 'order.confirmed.v1'"
    )


@breaks(mails.not_told)
async def a_mail_that_has_not_left(books: Books) -> None:
    """A mail is written, and not sent."""
    await books.run(
        "notification",
        "UPDATE notification SET status = 'PENDING' WHERE order_id = 'ord_sold' AND event_type = 'order.confirmed.v1'",
    )


@breaks(mails.not_told)
async def news_that_waits_for_a_known_order(books: Books) -> None:
    """News of an order waits for its order.created, although the order is there."""
    await books.run(
        "notification",
        """WITH gone AS (DELETE FROM notification WHERE order_id = 'ord_sold' AND event_type = 'order.confirmed.v1'
                         RETURNING event_id, event_type, order_id, user_id, source_topic, trace_id, created_at)
           INSERT INTO waiting_news SELECT event_id, event_type, order_id, user_id, '', source_topic, trace_id,
                                           created_at FROM gone""",
    )


@breaks(mails.strangers_told)
async def a_mail_about_no_order(books: Books) -> None:
    """Somebody was told of an order that nobody placed."""
    await books.use("notification")
    await books.mail("order.confirmed.v1", uuid4(), "ord_ghost")


@breaks(mails.not_arrived)
async def a_mail_that_is_lost(books: Books) -> None:
    """A mail is SENT, and nobody got it."""
    books.given = replace(books.given, mailbox=frozenset(sorted(await arrived(books))[1:]))


@breaks(mails.not_arrived)
async def a_mail_that_nobody_wrote(books: Books) -> None:
    """Somebody got a mail that stands in no table."""
    books.given = replace(books.given, mailbox=await arrived(books) | {uuid4()})
