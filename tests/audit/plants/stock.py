"""I1, I2, I3 and the movements of I13: stock."""

from __future__ import annotations

from ecom.audit import effects, stock
from tests.audit.books import Books
from tests.audit.plants.planting import breaks


@breaks(stock.below_zero)
async def available_below_zero(books: Books) -> None:
    """Less than nothing is available, and the ledger of stock agrees."""
    await books.run(
        "inventory",
        """ALTER TABLE stock DROP CONSTRAINT stock_never_oversold;
           UPDATE stock SET available = -1 WHERE sku = 'b';
           INSERT INTO stock_movement (sku, delta, trace_id, created_at) VALUES ('b', -10, 't', now() + '1 s')""",
    )


@breaks(stock.below_zero)
async def reserved_below_zero(books: Books) -> None:
    """Less than nothing is reserved; the reservations would say the same if they could."""
    await books.run(
        "inventory",
        """ALTER TABLE stock DROP CONSTRAINT stock_reserved_is_a_count;
           ALTER TABLE reservation DROP CONSTRAINT reservation_holds_something;
           UPDATE stock SET available = 9, reserved = -1 WHERE sku = 'a';
           INSERT INTO reservation (reservation_id, sku, quantity, status, created_at, updated_at)
           VALUES ('by hand', 'a', -1, 'RESERVED', now(), now())""",
    )


@breaks(stock.unbalanced)
async def stock_from_nowhere(books: Books) -> None:
    """One unit more than was ever put in."""
    await books.run("inventory", "UPDATE stock SET available = available + 1 WHERE sku = 'a'")


@breaks(stock.unbalanced)
async def stock_reserved_by_nobody(books: Books) -> None:
    """The count says reserved, no reservation does."""
    await books.run("inventory", "UPDATE stock SET available = available - 1, reserved = 1 WHERE sku = 'a'")


@breaks(stock.unbalanced)
async def stock_without_a_row(books: Books) -> None:
    """Something was put in that no row counts."""
    await books.run("inventory", "DELETE FROM stock WHERE sku = 'a'")


@breaks(stock.partly_held)
async def half_an_order_held(books: Books) -> None:
    """Of another order service's order one SKU is held and one is not."""
    await books.run(
        "inventory",
        """INSERT INTO reservation (reservation_id, order_id, sku, quantity, status, created_at, updated_at) VALUES
               ('foreign:a', 'foreign', 'a', 1, 'RESERVED', now(), now()),
               ('foreign:b', 'foreign', 'b', 1, 'RELEASED', now(), now());
           UPDATE stock SET available = available - 1, reserved = 1 WHERE sku = 'a'""",
    )


@breaks(stock.partly_held)
async def another_number_of_skus(books: Books) -> None:
    """The order names one SKU more than was ever held for it."""
    await books.run(
        "order", """UPDATE orders SET items = items || '[{"sku": "c", "quantity": 1}]' WHERE id = 'ord_sold'"""
    )


@breaks(stock.partly_held)
async def another_sku(books: Books) -> None:
    """As many SKUs as were ordered are held, and one of them is another."""
    await books.run(
        "inventory",
        """UPDATE reservation SET reservation_id = 'ord_refused:b', sku = 'b' WHERE order_id = 'ord_refused'""",
    )


@breaks(stock.partly_held)
async def another_quantity(books: Books) -> None:
    """The SKU that was ordered was held, and more of it than was ordered."""
    await books.run("inventory", "UPDATE reservation SET quantity = 5 WHERE order_id = 'ord_refused'")


@breaks(stock.partly_held)
async def one_sku_held_twice(books: Books) -> None:
    """An order has two reservations of one SKU."""
    await books.run(
        "inventory",
        """ALTER TABLE reservation DROP CONSTRAINT reservation_one_per_order_and_sku;
           INSERT INTO reservation (reservation_id, order_id, sku, quantity, status, created_at, updated_at)
           VALUES ('again', 'ord_refused', 'a', 1, 'RELEASED', now(), now())""",
    )


@breaks(effects.repeated_movements)
async def a_change_that_moved_twice(books: Books) -> None:
    """One change by hand was written down twice, and the stock has followed it."""
    await books.run(
        "inventory",
        """INSERT INTO stock_movement (sku, delta, trace_id, created_at)
           SELECT sku, delta, trace_id, created_at FROM stock_movement WHERE sku = 'a';
           UPDATE stock SET available = available + 10 WHERE sku = 'a'""",
    )
