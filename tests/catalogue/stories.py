"""Articles that a test makes up, and all that an import can leave in the two schemas."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from dovecote.database import Database
from dovecote.sql import Sql
from ecom.datasets.articles import Article

PRODUCTS = Sql("SELECT id, version, price, active, updated_at FROM product WHERE NOT deleted ORDER BY id")
EVENTS = Sql("SELECT key, sequence FROM outbox_event_record WHERE event_type = 'product.upserted.v1' ORDER BY id")
LEVELS = Sql("SELECT sku, available, reserved FROM stock ORDER BY sku")
MOVEMENTS = Sql("SELECT sku, delta FROM stock_movement ORDER BY id")
LEAD = Sql("""
    INSERT INTO relay_leader (single, epoch, pid, beat_at) VALUES (true, 1, 1, $1)
    ON CONFLICT (single) DO UPDATE SET beat_at = excluded.beat_at
""")
SEND_ALL = Sql("UPDATE outbox_event_record SET status = 'SENT', sent_at = $1 WHERE status = 'PENDING'")


def article(number: int, price: str = "1.50") -> Article:
    """The n-th article."""
    cost = Decimal(price)
    return Article(f"{number:06}", f"SOUP {number}", "SOUP", "National", cost, "GROCERY", ("1 LB",), active=cost > 0)


@dataclass(frozen=True)
class Left:
    """Everything that is there: products with their versions, events, levels and the ledger of stock."""

    products: list[tuple[object, ...]]
    events: list[tuple[object, ...]]
    levels: list[tuple[object, ...]]
    movements: list[tuple[object, ...]]


async def left(products: Database, stock: Database) -> Left:
    """All of it."""
    return Left(
        [tuple(row.values()) for row in await products.fetch(PRODUCTS)],
        [tuple(row.values()) for row in await products.fetch(EVENTS)],
        [tuple(row.values()) for row in await stock.fetch(LEVELS)],
        [tuple(row.values()) for row in await stock.fetch(MOVEMENTS)],
    )
