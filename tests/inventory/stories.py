"""Verbs for tests of the inventory service: hear, shelve, look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from dovecote.database import Database
from dovecote.events import Cause, Delivery, Event
from dovecote.sql import Sql
from dovecote.testing import eventually
from ecom.inventory import store
from ecom.inventory.domain import OrderCancelled, OrderLine, OrderLines, OrderPaid, OrderTimedOut, OrderUnpaid
from ecom.inventory.handlers import hears
from ecom.inventory.store import Terms

__all__ = ["OrderCancelled", "OrderPaid", "OrderTimedOut", "OrderUnpaid", "broken", "hear", "holds", "order", "said"]

# I1, I2 and I3 of the invariants; each row is a finding.
BROKEN = Sql("""
    SELECT s.sku, 'I2: counts do not add up' AS finding
      FROM stock AS s
     WHERE s.reserved <> coalesce((SELECT sum(quantity) FROM reservation AS r
                                    WHERE r.sku = s.sku AND r.status = 'RESERVED'), 0)
        OR s.available + s.reserved
           + coalesce((SELECT sum(quantity) FROM reservation AS r WHERE r.sku = s.sku AND r.status = 'CONFIRMED'), 0)
           <> coalesce((SELECT sum(delta) FROM stock_movement AS m WHERE m.sku = s.sku), 0)
    UNION ALL
    SELECT order_id, 'I3: lines of one order differ'
      FROM reservation WHERE order_id IS NOT NULL GROUP BY order_id HAVING count(DISTINCT status) > 1
    UNION ALL
    SELECT h.order_id, 'the hold and its reservations differ'
      FROM order_hold AS h LEFT JOIN reservation AS r USING (order_id)
     WHERE r.status IS DISTINCT FROM CASE h.state WHEN 'HELD' THEN 'RESERVED' WHEN 'CONFIRMED' THEN 'CONFIRMED'
                                                  WHEN 'RELEASED' THEN 'RELEASED' WHEN 'EXPIRED' THEN 'RELEASED' END
""")
SAID = Sql(
    "SELECT event_type, key, sequence, convert_from(value, 'UTF8') AS value FROM outbox_event_record ORDER BY id"
)
WAITING = Sql("""
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
""")
HOLDS = Sql("SELECT order_id, state FROM order_hold ORDER BY order_id")


def order(order_id: str, **lines: int) -> OrderLines:
    """An order as a foreign producer sends it."""
    return OrderLines(order_id=order_id, items=tuple(OrderLine(sku, quantity) for sku, quantity in lines.items()))


def delivery(event: Event, *, trace_id: str = "0" * 32) -> Delivery[Any]:
    """An event as a handler gets it."""
    return Delivery(
        event=event,
        event_id=uuid4(),
        event_type=event.EVENT,
        occurred_at=datetime.now(UTC),
        producer="test",
        trace_id=trace_id,
        topic=event.EVENT,
        partition=0,
        offset=0,
        key="k",
        sequence=None,
    )


async def hear(database: Database, terms: Terms, *events: Event, lane: str = "consumer") -> None:
    """One batch of one type, in one transaction."""
    route = hears(terms).routes[events[0].EVENT]
    async with database.transaction(lane) as tx:
        await route.handle(tx, [delivery(event) for event in events])


async def shelve(database: Database, **levels: int) -> None:
    """Put stock on the shelf."""
    async with database.transaction() as tx:
        await store.put_stock(tx, list(levels.items()), because=Cause("0" * 32))


async def levels(database: Database, *skus: str) -> list[tuple[int, int]]:
    """(available, reserved) of each SKU."""
    found = [await store.find_stock(database, sku) for sku in skus]
    return [(each.available, each.reserved) for each in found if each is not None]


async def said(database: Database) -> Sequence[Mapping[str, Any]]:
    """What stands in the outbox."""
    return await database.fetch(SAID)


async def holds(database: Database) -> dict[str, str]:
    """The state of each order's hold."""
    return {row["order_id"]: row["state"] for row in await database.fetch(HOLDS)}


async def broken(database: Database) -> list[tuple[str, str]]:
    """Invariants that do not hold."""
    return [(row["sku"], row["finding"]) for row in await database.fetch(BROKEN)]


async def until_waiting(database: Database, sessions: int) -> None:
    """Wait until so many sessions wait for a lock."""

    async def there() -> bool:
        return bool(await database.fetchval(WAITING) >= sessions)

    await eventually(there, what=f"{sessions} sessions wait")
