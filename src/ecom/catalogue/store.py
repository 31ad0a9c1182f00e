"""All SQL of the catalogue in bulk: it looks at the product service's tables, and writes nothing."""

from __future__ import annotations

from dovecote.database import Database
from dovecote.leadership import STALE_AFTER
from dovecote.sql import Sql

COUNT_WAITING = Sql("SELECT count(*) FROM outbox_event_record WHERE status = 'PENDING' AND blocked_by IS NULL")
IS_LED = Sql("SELECT EXISTS (SELECT 1 FROM relay_leader WHERE beat_at > $1)")

COUNT_PRODUCTS = Sql("SELECT count(*) FROM product WHERE NOT deleted")


async def count_products(database: Database) -> int:
    """Products there are."""
    return int(await database.fetchval(COUNT_PRODUCTS))


async def count_waiting(database: Database) -> int:
    """Events of this service that have not left yet, and wait for nothing but the relay."""
    return int(await database.fetchval(COUNT_WAITING))


async def is_relayed(database: Database) -> bool:
    """Whether some process sends this service's events now."""
    return bool(await database.fetchval(IS_LED, database.now - STALE_AFTER))
