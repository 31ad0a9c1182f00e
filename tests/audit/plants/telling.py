"""I11 but for the orders: what holds, payments, products and notifications say."""

from __future__ import annotations

from uuid import UUID

from ecom.audit import telling
from tests.audit.books import REFUSED, SOLD, Books
from tests.audit.plants.planting import breaks

NOTIFIED = UUID("019a0000-0000-7000-8000-000000000000")


async def give_up(books: Books, *events: str) -> None:
    """A mail that was given up and sent by people later, with what it said."""
    await books.use("notification")
    await books.mail("payment.refunded.v1", NOTIFIED, SOLD)
    await books.connection.execute("UPDATE notification SET sequence = 2 WHERE event_id = $1", NOTIFIED)
    for sequence, event_type in enumerate(events, start=1):
        await books.store("notification", event_type, "notification", str(NOTIFIED), sequence)


@breaks(telling.gaps)
async def a_gap(books: Books) -> None:
    """Of the events of an aggregate that nobody else counts, the middle one is missing."""
    for sequence in (1, 3):
        await books.store("notification", "notification.alert.v1", "mystery", "m", sequence)


@breaks(telling.holds_amiss)
async def a_hold_that_says_less_than_it_counts(books: Books) -> None:
    """Inventory counts two events of an order, and said one."""
    await books.run("inventory", "UPDATE order_hold SET sequence = 2 WHERE order_id = 'ord_refused'")


@breaks(telling.holds_amiss)
async def a_hold_that_said_the_opposite(books: Books) -> None:
    """A hold that was given back says that it never was."""
    await books.run(
        "inventory",
        """UPDATE outbox_event_record SET event_type = 'inventory.reservation.failed.v1'
            WHERE aggregate_id = 'ord_refused'""",
    )


@breaks(telling.holds_amiss)
async def a_word_about_no_hold(books: Books) -> None:
    """Inventory speaks of an order that it does not know."""
    await books.store("inventory", "inventory.reserved.v1", "order", "ord_ghost", 1)


@breaks(telling.payments_amiss)
async def a_payment_that_says_less_than_it_counts(books: Books) -> None:
    """The payment counts an event more than it ever said."""
    await books.run("payment", "UPDATE payment SET sequence = sequence + 1 WHERE order_id = 'ord_sold'")


@breaks(telling.payments_amiss)
async def a_payment_that_said_the_opposite(books: Books) -> None:
    """A declined payment says that it was authorized."""
    await books.run(
        "payment",
        "UPDATE outbox_event_record SET event_type = 'payment.authorized.v1' WHERE aggregate_id = 'ord_refused'",
    )


@breaks(telling.payments_amiss)
async def a_payment_that_says_too_much(books: Books) -> None:
    """A declined payment says that it was given back."""
    await books.store("payment", "payment.refunded.v1", "payment", REFUSED, 2)


@breaks(telling.products_amiss)
async def a_product_that_never_told(books: Books) -> None:
    """Price, search and product all say version 3; no event ever did."""
    for service, table, key in (("product", "product", "id"), ("order", "price", "product_id")):
        await books.run(service, f"UPDATE {table} SET version = 3 WHERE {key} = 'a'")
    await books.run("search", "UPDATE document SET version = 3 WHERE product_id = 'a'")


@breaks(telling.products_amiss)
async def a_deletion_told_as_a_change(books: Books) -> None:
    """A product is deleted, everybody knows it, and the event says that it was changed."""
    await books.run(
        "product",
        "UPDATE outbox_event_record SET event_type = 'product.upserted.v1' WHERE aggregate_id = 'gone'",
    )


@breaks(telling.products_amiss)
async def a_word_about_no_product(books: Books) -> None:
    """An event tells of a product that was never there."""
    await books.store("product", "product.upserted.v1", "product", "nowhere", 1)


@breaks(telling.notifications_amiss)
async def a_mail_given_up_in_silence(books: Books) -> None:
    """Operators never heard of a mail that was given up."""
    await give_up(books)


@breaks(telling.notifications_amiss)
async def a_mail_given_up_in_other_words(books: Books) -> None:
    """Operators heard two alerts, and no dead letter."""
    await give_up(books, "notification.alert.v1", "notification.alert.v1")


@breaks(telling.notifications_amiss)
async def a_word_about_no_notification(books: Books) -> None:
    """An alert about a mail that nobody wrote."""
    for sequence, event_type in enumerate(("notification.dlq.v1", "notification.alert.v1"), start=1):
        await books.store("notification", event_type, "notification", str(NOTIFIED), sequence)
