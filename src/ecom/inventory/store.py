"""All SQL of the inventory service.

Lock order, the same in handlers, HTTP and jobs: order_hold by order_id → reservation by reservation_id →
stock by sku → new reservation rows by reservation_id. Reservations of an order need no lock of their own:
they change only under the lock of its hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from dovecote.database import Database, Transaction
from dovecote.errors import DovecoteError
from dovecote.events import Traced
from dovecote.sql import Sql
from ecom.inventory.domain import Hold, Stock, Turn, Verdict, take
from ecom.inventory.holds import HoldState

# Inserted sorted, before anything is locked: whoever needs a row that another transaction is inserting waits
# here, holding only rows that sort before it.
INSERT_HOLDS = Sql("""
    INSERT INTO order_hold (order_id, state, paid, sequence, expires_at, trace_id, created_at, updated_at)
    SELECT new.order_id, 'AWAITED', false, 0, $3, new.trace_id, $4, $4
      FROM unnest($1::text[], $2::text[]) AS new(order_id, trace_id)
     ORDER BY new.order_id
    ON CONFLICT (order_id) DO NOTHING
    RETURNING order_id
""")
LOCK_HOLDS = Sql("""
    SELECT order_id, state, paid, sequence, trace_id
      FROM order_hold
     WHERE order_id = ANY($1::text[])
     ORDER BY order_id
       FOR UPDATE
""")
UPDATE_HOLDS = Sql("""
    UPDATE order_hold AS h
       SET state = new.state, paid = new.paid, sequence = new.sequence, expires_at = new.expires_at, updated_at = $6
      FROM unnest($1::text[], $2::text[], $3::boolean[], $4::bigint[], $5::timestamptz[])
        AS new(order_id, state, paid, sequence, expires_at)
     WHERE h.order_id = new.order_id
""")
# A SKU's one row is the newest generation, and that is where the index is entered: an older transaction that stays open
# keeps all the others (0003_generations.sql).
LOCK_STOCK = Sql("""
    SELECT s.sku, s.available, s.reserved
      FROM (SELECT sku FROM unnest($1::text[]) AS each(sku) ORDER BY sku) AS wanted
     CROSS JOIN LATERAL (SELECT sku, available, reserved FROM stock
                          WHERE sku = wanted.sku ORDER BY generation DESC LIMIT 1 FOR UPDATE) AS s
""")
LOCK_STOCK_OF_ORDERS = Sql("""
    SELECT s.sku
      FROM (SELECT DISTINCT sku FROM reservation WHERE order_id = ANY($1::text[]) ORDER BY sku) AS wanted
     CROSS JOIN LATERAL (SELECT sku FROM stock
                          WHERE sku = wanted.sku ORDER BY generation DESC LIMIT 1 FOR UPDATE) AS s
""")
# The rows are locked and stay where they are. By their place: by key and generation the planner likes to read them all.
MOVE_STOCK = Sql("""
    UPDATE stock AS s
       SET available = s.available + move.available, reserved = s.reserved + move.reserved, changes = s.changes + 1,
           updated_at = $4
      FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS move(sku, available, reserved)
     CROSS JOIN LATERAL (SELECT ctid FROM stock WHERE sku = move.sku ORDER BY generation DESC LIMIT 1) AS newest
     WHERE s.ctid = newest.ctid
""")
INSERT_RESERVATIONS = Sql("""
    INSERT INTO reservation (reservation_id, order_id, sku, quantity, status, expires_at, created_at, updated_at)
    SELECT new.order_id || ':' || new.sku, new.order_id, new.sku, new.quantity, new.status, $5, $6, $6
      FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) AS new(order_id, sku, quantity, status)
     ORDER BY 1
""")
# The stock rows are locked. Each CTE moves the reservations of its orders; the last statement moves the counts.
MOVE_RESERVATIONS = Sql("""
    WITH confirmed AS (
        UPDATE reservation SET status = 'CONFIRMED', updated_at = $4
         WHERE order_id = ANY($1::text[]) AND status = 'RESERVED'
        RETURNING sku, quantity
    ), released AS (
        UPDATE reservation SET status = 'RELEASED', updated_at = $4
         WHERE order_id = ANY($2::text[]) AND status = 'RESERVED'
        RETURNING sku, quantity
    ), restocked AS (
        UPDATE reservation SET status = 'RELEASED', updated_at = $4
         WHERE order_id = ANY($3::text[]) AND status = 'CONFIRMED'
        RETURNING sku, quantity
    ), moves AS (
        SELECT sku, sum(available)::bigint AS available, sum(reserved)::bigint AS reserved
          FROM (SELECT sku, 0 AS available, -quantity AS reserved FROM confirmed
                UNION ALL
                SELECT sku, quantity, -quantity FROM released
                UNION ALL
                SELECT sku, quantity, 0 FROM restocked) AS each
         GROUP BY sku
    )
    UPDATE stock AS s
       SET available = s.available + moves.available, reserved = s.reserved + moves.reserved, changes = s.changes + 1,
           updated_at = $4
      FROM moves
     CROSS JOIN LATERAL (SELECT ctid FROM stock WHERE sku = moves.sku ORDER BY generation DESC LIMIT 1) AS newest
     WHERE s.ctid = newest.ctid
""")
DUE_HOLDS = Sql("""
    SELECT order_id FROM order_hold WHERE expires_at <= $1 AND state = 'HELD' ORDER BY expires_at LIMIT $2
""")
DELETE_LAPSED_HOLDS = Sql("""
    DELETE FROM order_hold
     WHERE order_id IN (SELECT order_id FROM order_hold
                         WHERE expires_at <= $1 AND state IN ('AWAITED', 'ENDED')
                         ORDER BY order_id LIMIT $2 FOR UPDATE SKIP LOCKED)
""")
SELECT_STOCK = Sql("""
    SELECT sku, available, reserved FROM stock WHERE sku = $1 ORDER BY generation DESC LIMIT 1
""")
INSERT_STOCK = Sql("""
    WITH fresh AS (
        INSERT INTO shelf (sku)
        SELECT new.sku FROM unnest($1::text[]) AS new(sku) ORDER BY new.sku
        ON CONFLICT (sku) DO NOTHING
        RETURNING sku
    )
    INSERT INTO stock (sku, available, reserved, updated_at) SELECT fresh.sku, 0, 0, $2 FROM fresh
    RETURNING sku
""")
INSERT_MOVEMENTS = Sql("""
    INSERT INTO stock_movement (sku, delta, trace_id, created_at)
    SELECT new.sku, new.delta, $3, $4 FROM unnest($1::text[], $2::bigint[]) AS new(sku, delta) ORDER BY new.sku
""")


class HoldForgotten(DovecoteError):
    """An order's memory was cleaned up while it was being locked; the same batch finds it gone and goes on."""

    retriable = True


@dataclass(frozen=True, slots=True)
class Terms:
    """How long things last: an unpaid reservation, and the memory of an order whose beginning has not come."""

    reservation_ttl: timedelta
    memory_ttl: timedelta

    def lapses_at(self, hold: Hold, now: datetime) -> datetime | None:
        """When a row in this state lapses."""
        match hold.state:
            case HoldState.HELD:
                return now + self.reservation_ttl
            case HoldState.AWAITED | HoldState.ENDED:
                return now + self.memory_ttl
            case _:
                return None


async def lock_holds(tx: Transaction, orders: Mapping[str, Traced], lapse: timedelta) -> dict[str, Hold]:
    """The holds of these orders, locked; an order never heard of gets its row here."""
    traces = [cause.trace_id for cause in orders.values()]
    rows = await tx.fetch(INSERT_HOLDS, list(orders), traces, tx.now + lapse, tx.now)
    holds = {row["order_id"]: Hold(row["order_id"], trace_id=orders[row["order_id"]].trace_id) for row in rows}
    if known := [order_id for order_id in orders if order_id not in holds]:
        holds |= await lock_known_holds(tx, known)
    if len(holds) < len(orders):
        raise HoldForgotten("A hold was cleaned up while it was being locked; try again.")
    return holds


async def lock_known_holds(tx: Transaction, order_ids: Sequence[str]) -> dict[str, Hold]:
    """The holds of these orders that exist, locked."""
    rows = await tx.fetch(LOCK_HOLDS, order_ids)
    return {row["order_id"]: msgspec.convert(dict(row), Hold) for row in rows}


async def lock_stock(tx: Transaction, skus: Iterable[str]) -> dict[str, Stock]:
    """The stock of these SKUs, locked; unknown ones are missing."""
    rows = await tx.fetch(LOCK_STOCK, list(set(skus)))
    return {row["sku"]: Stock(**row) for row in rows}


async def move_stock(tx: Transaction, before: Mapping[str, Stock], after: Sequence[Stock]) -> None:
    """Change locked stock from what it was to what it becomes, as a relative change."""
    if after:
        await tx.execute(
            MOVE_STOCK,
            [each.sku for each in after],
            [each.available - before[each.sku].available for each in after],
            [each.reserved - before[each.sku].reserved for each in after],
            tx.now,
        )


async def keep_verdicts(tx: Transaction, verdicts: Sequence[Verdict], stock: Mapping[str, Stock], terms: Terms) -> None:
    """Write what orders were given: the counts, the reservations, the holds."""
    lines = [
        (
            verdict.hold.order_id,
            sku,
            quantity,
            "RESERVED" if verdict.hold.state is HoldState.HELD else "CONFIRMED",
        )
        for verdict in verdicts
        for sku, quantity in verdict.lines.items()
    ]
    if lines:
        await move_stock(tx, stock, take(stock, verdicts))
        columns = zip(*lines, strict=True)
        await tx.execute(INSERT_RESERVATIONS, *columns, tx.now + terms.reservation_ttl, tx.now)
    await _update_holds(tx, [verdict.hold for verdict in verdicts], terms)


async def keep_turn(tx: Transaction, turn: Turn, terms: Terms) -> None:
    """Write what facts did to holds: reservations and counts move together."""
    if turn.moves_stock:
        await tx.fetch(LOCK_STOCK_OF_ORDERS, [*turn.confirm, *turn.release, *turn.restock])
        await tx.execute(MOVE_RESERVATIONS, turn.confirm, turn.release, turn.restock, tx.now)
    await _update_holds(tx, turn.changed, terms)


async def due_holds(database: Database, now: datetime, limit: int) -> list[str]:
    """Orders whose unpaid hold has run out, longest ago first."""
    return [row["order_id"] for row in await database.fetch(DUE_HOLDS, now, limit)]


async def forget_lapsed(tx: Transaction, limit: int) -> int:
    """Delete memories of orders whose beginning can no longer come; says how many."""
    return await tx.execute(DELETE_LAPSED_HOLDS, tx.now, limit)


async def _update_holds(tx: Transaction, holds: Sequence[Hold], terms: Terms) -> None:
    if holds:
        await tx.execute(
            UPDATE_HOLDS,
            [hold.order_id for hold in holds],
            [hold.state for hold in holds],
            [hold.paid for hold in holds],
            [hold.sequence for hold in holds],
            [terms.lapses_at(hold, tx.now) for hold in holds],
            tx.now,
        )


async def find_stock(database: Database, sku: str) -> Stock | None:
    """What there is of one SKU."""
    row = await database.fetchrow(SELECT_STOCK, sku)
    return Stock(**row) if row else None


async def put_stock(tx: Transaction, lines: Sequence[tuple[str, int]], *, because: Traced) -> list[Stock]:
    """Set what is available of each SKU, in bulk; of two lines for one SKU the later one stands.

    Answers line by line. The ledger notes the difference that each SKU ends with.
    """
    skus = list({sku for sku, _ in lines})
    await tx.execute(INSERT_STOCK, skus, tx.now)
    before = await lock_stock(tx, skus)
    answers = [Stock(sku, available, before[sku].reserved) for sku, available in lines]
    after = [each for each in {each.sku: each for each in answers}.values() if each != before[each.sku]]
    await move_stock(tx, before, after)
    if after:
        deltas = [each.available - before[each.sku].available for each in after]
        await tx.execute(INSERT_MOVEMENTS, [each.sku for each in after], deltas, because.trace_id, tx.now)
    return answers


async def put_first_stock(tx: Transaction, lines: Sequence[tuple[str, int]], *, because: Traced) -> list[Stock]:
    """Set what is available of those SKUs that were never on stock, and leave the others as they are; the new ones."""
    new = {row["sku"] for row in await tx.fetch(INSERT_STOCK, list({sku for sku, _ in lines}), tx.now)}
    first = [line for line in lines if line[0] in new]
    return await put_stock(tx, first, because=because) if first else []
