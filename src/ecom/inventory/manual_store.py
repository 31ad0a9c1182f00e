"""All SQL about reservations made by hand. The lock order is the store's: reservation, stock, new reservation rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dovecote.database import Database, Transaction
from dovecote.errors import DovecoteError
from dovecote.sql import Sql
from ecom.inventory.domain import Status, Stock
from ecom.inventory.manual import Answer, Reservation, Wish, end_by_hand, grant
from ecom.inventory.store import lock_stock, move_stock

KNOWN_RESERVATIONS = Sql("SELECT reservation_id FROM reservation WHERE reservation_id = ANY($1::text[])")
INSERT_BY_HAND = Sql("""
    INSERT INTO reservation (reservation_id, order_id, sku, quantity, status, expires_at, created_at, updated_at)
    SELECT new.reservation_id, NULL, new.sku, new.quantity, 'RESERVED', new.expires_at, $5, $5
      FROM unnest($1::text[], $2::text[], $3::bigint[], $4::timestamptz[])
        AS new(reservation_id, sku, quantity, expires_at)
     ORDER BY 1
    ON CONFLICT (reservation_id) DO NOTHING
""")
# Those of orders are only read: they change under the lock of their order's hold, after that of the stock.
LOCK_BY_HAND = Sql("""
    SELECT reservation_id, order_id, sku, quantity, status
      FROM reservation
     WHERE reservation_id = ANY($1::text[]) AND order_id IS NULL
     ORDER BY reservation_id
       FOR UPDATE
""")
READ_OF_ORDERS = Sql("""
    SELECT reservation_id, order_id, sku, quantity, status
      FROM reservation
     WHERE reservation_id = ANY($1::text[]) AND order_id IS NOT NULL
""")
END_BY_HAND = Sql("""
    UPDATE reservation SET status = $2, expires_at = NULL, updated_at = $3 WHERE reservation_id = ANY($1::text[])
""")
DUE_BY_HAND = Sql("""
    SELECT reservation_id FROM reservation
     WHERE order_id IS NULL AND expires_at <= $1 ORDER BY expires_at LIMIT $2
""")
DELETE_BY_HAND = Sql("""
    DELETE FROM reservation
     WHERE reservation_id IN (SELECT reservation_id FROM reservation
                               WHERE order_id IS NULL AND created_at < $1 AND status = 'RELEASED' AND updated_at < $1
                               ORDER BY reservation_id LIMIT $2 FOR UPDATE SKIP LOCKED)
""")


class ReservationRaced(DovecoteError):
    """Two calls made one reservation at the same moment; the second look finds it."""

    retriable = True


async def reserve_by_hand(tx: Transaction, wishes: Sequence[Wish]) -> list[Answer]:
    """Hold stock for whoever asks, in the order of asking. Raises ReservationRaced."""
    stock = await lock_stock(tx, [wish.sku for wish in wishes])
    known = await tx.fetch(KNOWN_RESERVATIONS, [wish.reservation_id for wish in wishes])
    answers = grant(wishes, stock, [row["reservation_id"] for row in known])
    granted = [(wish, answer) for wish, answer in zip(wishes, answers, strict=True) if isinstance(answer, Stock)]
    if granted:
        made = await tx.execute(
            INSERT_BY_HAND,
            [wish.reservation_id for wish, _ in granted],
            [wish.sku for wish, _ in granted],
            [wish.quantity for wish, _ in granted],
            [tx.now + wish.ttl for wish, _ in granted],
            tx.now,
        )
        if made < len(granted):
            raise ReservationRaced("Another call made one of these reservations at the same moment; try again.")
        await move_stock(tx, stock, list({after.sku: after for _, after in granted}.values()))
    return answers


async def end_reservations(tx: Transaction, asked: Sequence[str], to: Status) -> list[Answer]:
    """Confirm or release reservations made by hand, in the order of asking."""
    by_hand = await tx.fetch(LOCK_BY_HAND, list(set(asked)))
    stock = await lock_stock(tx, [row["sku"] for row in by_hand])
    others = set(asked).difference(row["reservation_id"] for row in by_hand)
    rows = [*by_hand, *(await tx.fetch(READ_OF_ORDERS, list(others)) if others else [])]
    found = {row["reservation_id"]: Reservation(**{**row, "status": Status(row["status"])}) for row in rows}
    answers = end_by_hand(asked, to, found, stock)
    ended = [(each, answer) for each, answer in zip(asked, answers, strict=True) if isinstance(answer, Stock)]
    if ended:
        await tx.execute(END_BY_HAND, [each for each, _ in ended], to, tx.now)
        await move_stock(tx, stock, list({after.sku: after for _, after in ended}.values()))
    return answers


async def due_by_hand(database: Database, now: datetime, limit: int) -> list[str]:
    """Reservations made by hand that have run out, longest ago first."""
    return [row["reservation_id"] for row in await database.fetch(DUE_BY_HAND, now, limit)]


async def forget_released(tx: Transaction, before: datetime, limit: int) -> int:
    """Delete reservations made by hand that were released long ago; says how many."""
    return await tx.execute(DELETE_BY_HAND, before, limit)
