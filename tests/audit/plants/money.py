"""I5, I6, I7, I8 and the calls of I13: money."""

from __future__ import annotations

from ecom.audit import effects, money
from ecom.provider.interface import Operation
from ecom.provider.ledger import Mark
from tests.audit.books import REFUSED, SOLD, Books, entry
from tests.audit.plants.planting import breaks


@breaks(money.confirmed_amiss)
async def a_sale_without_money(books: Books) -> None:
    """The provider has never heard of a confirmed order."""
    books.entries = [each for each in books.entries if each.reference != SOLD]


@breaks(money.confirmed_amiss)
async def a_sale_given_back(books: Books) -> None:
    """A confirmed order's customer has the money back."""
    books.entries.append(entry(Operation.REFUND, SOLD, 1250))


@breaks(money.confirmed_amiss)
async def a_sale_in_another_currency(books: Books) -> None:
    """The amount is right, the currency is not."""
    books.entries[0] = entry(Operation.AUTHORIZE, SOLD, 1250, currency="EUR")


@breaks(money.confirmed_amiss)
async def a_sale_without_stock(books: Books) -> None:
    """A confirmed order's stock is all only reserved."""
    await books.run(
        "inventory",
        """UPDATE reservation SET status = 'RESERVED' WHERE order_id = 'ord_sold';
           UPDATE stock SET reserved = CASE sku WHEN 'a' THEN 2 ELSE 1 END""",
    )


@breaks(money.ended_amiss)
async def money_for_a_refused_order(books: Books) -> None:
    """The provider still holds a failed order's price."""
    books.entries.append(entry(Operation.AUTHORIZE, REFUSED, 500, key="later"))


@breaks(money.ended_amiss)
async def stock_for_a_refused_order(books: Books) -> None:
    """A failed order still holds its stock."""
    await books.run(
        "inventory",
        """UPDATE reservation SET status = 'RESERVED' WHERE order_id = 'ord_refused';
           UPDATE stock SET available = available - 1, reserved = 1 WHERE sku = 'a'""",
    )


@breaks(money.ended_amiss)
async def stock_sold_to_a_refused_order(books: Books) -> None:
    """A failed order has its stock for good."""
    await books.run(
        "inventory",
        """UPDATE reservation SET status = 'CONFIRMED' WHERE order_id = 'ord_refused';
           UPDATE stock SET available = available - 1 WHERE sku = 'a'""",
    )


@breaks(money.ended_amiss)
async def an_open_question_about_a_refused_order(books: Books) -> None:
    """A failed order's payment still waits for the provider's word."""
    await books.run(
        "payment",
        "UPDATE payment SET settlement = 'UNKNOWN', unknown_since = now() WHERE order_id = 'ord_refused'",
    )


@breaks(money.part_of_the_price)
async def half_the_price(books: Books) -> None:
    """The provider gave back half of what a confirmed order costs."""
    books.entries.append(entry(Operation.REFUND, SOLD, 625))


@breaks(money.sold_amiss)
async def money_for_no_order(books: Books) -> None:
    """The provider holds money for an order that nobody knows."""
    books.entries.append(entry(Operation.AUTHORIZE, "ord_unknown", 100))


@breaks(money.sold_amiss)
async def money_for_an_open_order(books: Books) -> None:
    """At rest, an order's price is held and the order is still open, if within its time."""
    await books.run(
        "order",
        """INSERT INTO orders VALUES ('ord_open', 9, 'USD', 'PAYMENT_PENDING', NULL, true, false, 1, 1, NULL, 'card',
                  '[]', 't', now() + interval '1 hour', now(), now())""",
    )
    await books.run("notification", "INSERT INTO order_recipient VALUES ('ord_open', 9, NULL, now())")
    await books.store("order", "order.created.v1", "order", "ord_open", 1)
    books.entries.append(entry(Operation.AUTHORIZE, "ord_open", 100))


@breaks(money.key_used_twice)
async def a_key_used_twice(books: Books) -> None:
    """One idempotency key came with two requests."""
    books.entries.append(entry(Operation.AUTHORIZE, REFUSED, 500, outcome=Mark.DECLINED, request_hash="another"))


@breaks(money.key_used_twice)
async def a_key_that_the_provider_refused(books: Books) -> None:
    """The provider says that a key had come with another request, although the ledger shows only one."""
    books.entries.append(entry(Operation.AUTHORIZE, "ord_lost", 1, outcome=Mark.CONFLICT))


@breaks(money.charged_twice)
async def charged_twice(books: Books) -> None:
    """A second authorization under a key of its own, given back since: charged twice all the same."""
    books.entries.append(entry(Operation.AUTHORIZE, SOLD, 1250, key="again", provider_id="sim_again"))
    books.entries.append(entry(Operation.VOID, SOLD, 1250, key="void", provider_id="sim_again"))


@breaks(money.charged_twice)
async def charged_twice_under_a_forgotten_key(books: Books) -> None:
    """The provider had forgotten the key, and made the same charge once more; one of the two has come back."""
    books.entries.append(entry(Operation.AUTHORIZE, SOLD, 1250))
    books.entries.append(entry(Operation.VOID, SOLD, 1250))


@breaks(effects.repeated_calls)
async def a_call_under_two_keys(books: Books) -> None:
    """The provider is asked for one capture under two keys."""
    await books.run(
        "payment",
        """INSERT INTO intent (kind, key, subject, body, trace_id, status, attempts, due_at, created_at, done_at)
           SELECT 'capture', 'key ' || n, 'ord_sold', '', 't', 'DONE', 1, now(), now(), now()
             FROM generate_series(1, 2) AS n""",
    )
