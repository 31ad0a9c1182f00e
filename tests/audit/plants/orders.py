"""I4, I9, and the order's part of I11: what became of orders."""

from __future__ import annotations

from ecom.audit import orders, telling
from tests.audit.books import REFUSED, SOLD, Books
from tests.audit.plants.planting import breaks

FREE_HISTORY = """
    ALTER TABLE order_transition DROP CONSTRAINT order_transition_is_allowed;
    ALTER TABLE order_transition DROP CONSTRAINT order_one_winner_per_decision;
"""


@breaks(orders.overdue)
async def an_order_nobody_answers(books: Books) -> None:
    """Still pending an hour after its deadline."""
    await books.run(
        "order",
        """INSERT INTO orders VALUES ('ord_late', 9, 'USD', 'PAYMENT_PENDING', NULL, false, false, 1, 1, NULL, 'card',
                  '[]', 't', now() - interval '1 hour', now() - interval '2 hours', now())""",
    )
    await books.run("notification", "INSERT INTO order_recipient VALUES ('ord_late', 9, NULL, now())")
    await books.store("order", "order.created.v1", "order", "ord_late", 1)


@breaks(orders.moved_amiss)
async def an_order_that_left_its_end(books: Books) -> None:
    """A failed order has timed out after all, and everybody was told."""
    await books.run(
        "order",
        FREE_HISTORY
        + """INSERT INTO order_transition VALUES ('ord_refused', 3, 'FAILED', 'TIMED_OUT', 'LATE', now());
             UPDATE orders SET status = 'TIMED_OUT', sequence = 3 WHERE id = 'ord_refused'""",
    )
    await books.store("order", "order.timed-out.v1", "order", REFUSED, 3)


@breaks(orders.moved_amiss)
async def an_order_that_went_a_way_of_its_own(books: Books) -> None:
    """A confirmed order has timed out, which only a pending one can."""
    await books.run(
        "order",
        FREE_HISTORY
        + """INSERT INTO order_transition VALUES ('ord_refused', 1, 'PAYMENT_PENDING', 'CONFIRMED', NULL, now());
             UPDATE order_transition SET from_status = 'CONFIRMED', to_status = 'TIMED_OUT', sequence = sequence + 1
              WHERE order_id = 'ord_refused' AND sequence = 2;
             UPDATE order_transition SET sequence = 2 WHERE order_id = 'ord_refused' AND sequence = 1;
             UPDATE orders SET status = 'TIMED_OUT', sequence = 3 WHERE id = 'ord_refused';
             UPDATE outbox_event_record SET event_type = 'order.confirmed.v1'
              WHERE aggregate_id = 'ord_refused' AND sequence = 2""",
    )
    await books.store("order", "order.timed-out.v1", "order", REFUSED, 3)


@breaks(orders.decided_twice)
async def a_decision_with_two_winners(books: Books) -> None:
    """One pending order failed and timed out."""
    await books.run(
        "order",
        """INSERT INTO order_transition VALUES ('ord_refused', 3, 'PAYMENT_PENDING', 'TIMED_OUT', 'LATE', now());
           UPDATE orders SET status = 'TIMED_OUT', sequence = 3 WHERE id = 'ord_refused'""",
    )
    await books.store("order", "order.timed-out.v1", "order", REFUSED, 3)


@breaks(orders.history_broken)
async def a_change_without_the_one_before(books: Books) -> None:
    """An order was cancelled out of CONFIRMED, which it never was."""
    await books.run(
        "order",
        """UPDATE order_transition SET from_status = 'CONFIRMED', to_status = 'CANCELLED'
            WHERE order_id = 'ord_refused';
           UPDATE orders SET status = 'CANCELLED' WHERE id = 'ord_refused'""",
    )


@breaks(orders.history_broken)
async def an_order_that_is_not_where_it_went(books: Books) -> None:
    """The history ends in FAILED, the order is TIMED_OUT."""
    await books.run("order", "UPDATE orders SET status = 'TIMED_OUT' WHERE id = 'ord_refused'")


@breaks(telling.orders_amiss)
async def a_change_told_as_another(books: Books) -> None:
    """The order was confirmed; its event says cancelled."""
    await books.run(
        "order",
        """UPDATE outbox_event_record SET event_type = 'order.cancelled.v1'
            WHERE aggregate_id = 'ord_sold' AND sequence = 2""",
    )


@breaks(telling.orders_amiss)
async def an_event_without_a_change(books: Books) -> None:
    """An order that is still sold says that it timed out."""
    await books.store("order", "order.timed-out.v1", "order", SOLD, 3)


@breaks(telling.orders_amiss)
async def an_order_that_was_never_told(books: Books) -> None:
    """An order is there, within its time, and nobody was told of it."""
    await books.run(
        "order",
        """INSERT INTO orders VALUES ('ord_silent', 9, 'USD', 'PAYMENT_PENDING', NULL, true, false, 1, 1, NULL, 'card',
                  '[]', 't', now() + interval '1 hour', now(), now())""",
    )
