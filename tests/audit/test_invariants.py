"""Each invariant, broken in exactly one place of a shop whose books agree, is found, and nothing else is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from dovecote import envelope, ids
from ecom.audit.finding import ROWS_MAX, finding
from ecom.provider.interface import Operation
from ecom.provider.ledger import Mark
from tests.audit.books import REFUSED, SOLD, Books, entry

Plant = Callable[[Books], Awaitable[None]]
PLANTS: list[tuple[str, Plant]] = []


def breaks(invariant: str) -> Callable[[Plant], Plant]:
    """Register a way to break an invariant."""

    def register(plant: Plant) -> Plant:
        PLANTS.append((invariant, plant))
        return plant

    return register


@breaks("I1")
async def stock_below_zero(books: Books) -> None:
    """Less than nothing is available, and the ledger of stock agrees."""
    await books.run(
        "inventory",
        """ALTER TABLE stock DROP CONSTRAINT stock_never_oversold;
           UPDATE stock SET available = -1 WHERE sku = 'b';
           INSERT INTO stock_movement (sku, delta, trace_id, created_at) VALUES ('b', -10, 't', now())""",
    )


@breaks("I2")
async def stock_from_nowhere(books: Books) -> None:
    """One unit more than was ever put in."""
    await books.run("inventory", "UPDATE stock SET available = available + 1 WHERE sku = 'a'")


@breaks("I2")
async def stock_reserved_by_nobody(books: Books) -> None:
    """The count says reserved, no reservation does."""
    await books.run("inventory", "UPDATE stock SET available = available - 1, reserved = 1 WHERE sku = 'a'")


@breaks("I3")
async def half_an_order_held(books: Books) -> None:
    """Of another order service's order one SKU is held and one is not."""
    await books.run(
        "inventory",
        """INSERT INTO reservation (reservation_id, order_id, sku, quantity, status, created_at, updated_at) VALUES
               ('foreign:a', 'foreign', 'a', 1, 'RESERVED', now(), now()),
               ('foreign:b', 'foreign', 'b', 1, 'RELEASED', now(), now());
           UPDATE stock SET available = available - 1, reserved = 1 WHERE sku = 'a'""",
    )


@breaks("I3")
async def another_number_of_skus(books: Books) -> None:
    """The order names one SKU more than was ever held for it."""
    await books.run("order", """UPDATE orders SET items = items || '[{"sku": "c"}]' WHERE id = 'ord_sold'""")


@breaks("I4")
async def an_order_nobody_answers(books: Books) -> None:
    """Still pending an hour after its deadline."""
    await books.run(
        "order",
        """INSERT INTO orders VALUES ('ord_late', 9, 'USD', 'PAYMENT_PENDING', NULL, false, false, 1, 1, NULL, 'card',
                  '[]', 't', now() - interval '1 hour', now() - interval '2 hours', now())""",
    )
    await books.store("order", "order.created.v1", "order", "ord_late", 1)


@breaks("I5")
async def a_sale_without_money(books: Books) -> None:
    """The provider has never heard of a confirmed order."""
    books.entries = [each for each in books.entries if each.reference != SOLD]


@breaks("I5")
async def a_sale_without_stock(books: Books) -> None:
    """A confirmed order's stock is all only reserved."""
    await books.run(
        "inventory",
        """UPDATE reservation SET status = 'RESERVED' WHERE order_id = 'ord_sold';
           UPDATE stock SET reserved = CASE sku WHEN 'a' THEN 2 ELSE 1 END""",
    )


@breaks("I6")
async def stock_for_a_refused_order(books: Books) -> None:
    """A failed order still holds its stock."""
    await books.run(
        "inventory",
        """UPDATE reservation SET status = 'RESERVED' WHERE order_id = 'ord_refused';
           UPDATE stock SET available = available - 1, reserved = 1 WHERE sku = 'a'""",
    )


@breaks("I6")
async def an_open_question_about_a_refused_order(books: Books) -> None:
    """A failed order's payment still waits for the provider's word."""
    await books.run(
        "payment",
        "UPDATE payment SET settlement = 'UNKNOWN', unknown_since = now() WHERE order_id = 'ord_refused'",
    )


@breaks("I7")
async def half_the_price(books: Books) -> None:
    """The provider gave back half of what a confirmed order costs."""
    books.entries.append(entry(Operation.REFUND, SOLD, 625))


@breaks("I7")
async def money_for_no_order(books: Books) -> None:
    """The provider holds money for an order that nobody knows."""
    books.entries.append(entry(Operation.AUTHORIZE, "ord_unknown", 100))


@breaks("I8")
async def a_key_used_twice(books: Books) -> None:
    """One idempotency key came with two requests."""
    again = entry(Operation.AUTHORIZE, SOLD, 1250, outcome=Mark.CONFLICT, request_hash="another")
    books.entries.append(again)


@breaks("I8")
async def charged_twice(books: Books) -> None:
    """A second authorization under a key of its own, given back since: charged twice all the same."""
    books.entries.append(entry(Operation.AUTHORIZE, REFUSED, 500, key="one"))
    books.entries.append(entry(Operation.VOID, REFUSED, 500, key="two"))
    books.entries.append(entry(Operation.AUTHORIZE, REFUSED, 500, key="three"))
    books.entries.append(entry(Operation.VOID, REFUSED, 500, key="four"))


@breaks("I10")
async def sent_and_not_in_kafka(books: Books) -> None:
    """A record is marked SENT and lies on no topic."""
    del books.records[0]


@breaks("I10")
async def other_bytes_in_kafka(books: Books) -> None:
    """What lies on the topic is not what was stored."""
    record = books.records[0]
    books.records[0] = record._replace(value=record.value.replace(b'"x"', b'"y"'))


@breaks("I10")
async def a_phantom(books: Books) -> None:
    """Our relay sent an event that no transaction stored."""
    now = datetime.now(UTC)
    kind = "notification.alert.v1"
    books.send(kind, envelope.encode(ids.uuid7(now), kind, now, "notification-service", "t" * 32, b"{}"))


@breaks("I11")
async def a_gap(books: Books) -> None:
    """Of three events of an aggregate the middle one is missing."""
    for sequence in (1, 3):
        await books.store("notification", "notification.alert.v1", "notification", "n", sequence)


@breaks("I11")
async def a_change_told_as_another(books: Books) -> None:
    """The order was confirmed; its event says cancelled."""
    await books.run(
        "order",
        """UPDATE outbox_event_record SET event_type = 'order.cancelled.v1'
            WHERE aggregate_id = 'ord_sold' AND sequence = 2""",
    )


@breaks("I11")
async def a_change_without_event(books: Books) -> None:
    """The payment counts an event more than it ever said."""
    await books.run("payment", "UPDATE payment SET sequence = sequence + 1 WHERE order_id = 'ord_sold'")


@breaks("I12")
async def an_event_not_heard(books: Books) -> None:
    """Payment has no verdict on an order that was placed."""
    await books.run(
        "payment",
        """DELETE FROM consumed_event_record
            WHERE event_id = (SELECT min(event_id::text)::uuid FROM consumed_event_record)""",
    )


@breaks("I12")
async def an_unreadable_message_not_set_aside(books: Books) -> None:
    """What cannot be read must at least be a dead letter."""
    books.send("payment.captured.v1", b"not an event")


@breaks("I13")
async def a_mail_twice(books: Books) -> None:
    """One event, two notifications."""
    await books.run(
        "notification",
        """ALTER TABLE notification DROP CONSTRAINT notification_pkey;
           INSERT INTO notification (event_id, event_type, order_id, user_id, recipient_email, subject, body,
                                     source_topic, trace_id, status, retry_count, tries, sequence, created_at,
                                     updated_at)
           SELECT '019a0000-0000-7000-8000-000000000000', 'order.created.v1', 'ord_sold', 7, 'a@example.local', 's',
                  'b', 't', 't', 'SENT', 0, 0, 0, now(), now()
             FROM generate_series(1, 2)""",
    )


@breaks("I13")
async def a_call_under_two_keys(books: Books) -> None:
    """The provider is asked for one capture under two keys."""
    await books.run(
        "payment",
        """INSERT INTO intent (kind, key, subject, body, trace_id, status, attempts, due_at, created_at, done_at)
           SELECT 'capture', 'key ' || n, 'ord_sold', '', 't', 'DONE', 1, now(), now(), now()
             FROM generate_series(1, 2) AS n""",
    )


@breaks("I16")
async def a_failed_record(books: Books) -> None:
    """An event that Kafka will never get."""
    await books.store("notification", "notification.alert.v1", "notification", "n", 1, status="FAILED")


@breaks("I16")
async def a_record_that_stays(books: Books) -> None:
    """An event that waits for a minute."""
    old = datetime.now(UTC) - timedelta(minutes=1)
    await books.store("notification", "notification.alert.v1", "notification", "n", 1, status="PENDING", created_at=old)


async def test_books_that_agree_give_no_finding(books: Books) -> None:
    """The shop that all plants start from is clean."""
    assert await books.findings() == set()


@pytest.mark.parametrize(("invariant", "plant"), PLANTS, ids=[f"{name}-{each.__name__}" for name, each in PLANTS])
async def test_a_planted_violation_is_the_only_finding(books: Books, invariant: str, plant: Plant) -> None:
    """Break one thing; exactly its invariant is found."""
    await plant(books)
    assert await books.findings() == {invariant}


async def test_a_phantom_of_a_foreign_producer_is_none(books: Books) -> None:
    """Somebody else's order service may write our topics; what it says was never in our outbox."""
    now = datetime.now(UTC)
    kind = "notification.alert.v1"
    books.send(kind, envelope.encode(ids.uuid7(now), kind, now, "notification-service", "t" * 32, b"{}"))
    books.records[-1] = books.records[-1]._replace(headers=())
    assert await books.findings() == set()


async def test_an_impostor_is_a_matter_for_the_inbox(books: Books) -> None:
    """Somebody else sends other contents under one of our eventIds: our relay did nothing wrong."""
    first = books.records[0]
    books.records.insert(0, first._replace(value=first.value.replace(b'"x"', b'"y"'), headers=(), offset=98))
    assert await books.findings() == set()


async def test_a_repeat_of_a_sent_event_is_none(books: Books) -> None:
    """At-least-once: the same bytes twice on a topic are as good as once."""
    books.records.append(books.records[0]._replace(offset=99))
    assert await books.findings() == set()


def test_a_finding_shows_a_sample() -> None:
    """However many places are broken, a finding stays readable and says how many there are."""
    found = finding("I1", "what", [f"row {n:02}" for n in range(50)])
    assert (found.count, len(found.rows), found.rows[0]) == (50, ROWS_MAX, "row 00")
