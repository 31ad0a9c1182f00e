"""All SQL that lists products: by page in any order of the whitelist, or one after the other by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dovecote.database import Database
from dovecote.sql import Sql
from ecom.product.domain import Stored, folded
from ecom.product.store import stored

# Which filters a list has and how long it is decides how it is best read, so each gets a plan of its own; the
# third of a millisecond that this costs is less than one page read in the wrong way.
PLAN_EACH = Sql("SELECT set_config('plan_cache_mode', 'force_custom_plan', true)")

COUNT = Sql("SELECT count(*) FROM listed($1, $2, $3)")
AFTER = Sql("SELECT * FROM listed($1, $2, $3) WHERE id > $4 ORDER BY id LIMIT $5")
BY_NAME = Sql("SELECT * FROM listed($1, $2, $3) ORDER BY name_folded, id LIMIT $4 OFFSET $5")
BY_NAME_DOWN = Sql("SELECT * FROM listed($1, $2, $3) ORDER BY name_folded DESC, id DESC LIMIT $4 OFFSET $5")
BY_PRICE = Sql("SELECT * FROM listed($1, $2, $3) ORDER BY price, id LIMIT $4 OFFSET $5")
BY_PRICE_DOWN = Sql("SELECT * FROM listed($1, $2, $3) ORDER BY price DESC, id DESC LIMIT $4 OFFSET $5")
BY_CATEGORY = Sql("SELECT * FROM listed($1, $2, $3) ORDER BY category, id LIMIT $4 OFFSET $5")
BY_CATEGORY_DOWN = Sql("SELECT * FROM listed($1, $2, $3) ORDER BY category DESC, id DESC LIMIT $4 OFFSET $5")
BY_BRAND = Sql("SELECT * FROM listed($1, $2, $3) ORDER BY brand, id LIMIT $4 OFFSET $5")
BY_BRAND_DOWN = Sql("SELECT * FROM listed($1, $2, $3) ORDER BY brand DESC, id DESC LIMIT $4 OFFSET $5")
BY_ACTIVE = Sql("SELECT * FROM listed($1, $2, $3) ORDER BY active, id LIMIT $4 OFFSET $5")
BY_ACTIVE_DOWN = Sql("SELECT * FROM listed($1, $2, $3) ORDER BY active DESC, id DESC LIMIT $4 OFFSET $5")
BY_UPDATE = Sql("SELECT * FROM listed($1, $2, $3) ORDER BY updated_at, id LIMIT $4 OFFSET $5")
BY_UPDATE_DOWN = Sql("SELECT * FROM listed($1, $2, $3) ORDER BY updated_at DESC, id DESC LIMIT $4 OFFSET $5")

# The whitelist: each key's way up and its way down.
ORDERS: Mapping[str, tuple[Sql, Sql]] = {
    "name": (BY_NAME, BY_NAME_DOWN),
    "price": (BY_PRICE, BY_PRICE_DOWN),
    "category": (BY_CATEGORY, BY_CATEGORY_DOWN),
    "brand": (BY_BRAND, BY_BRAND_DOWN),
    "active": (BY_ACTIVE, BY_ACTIVE_DOWN),
    "updatedAt": (BY_UPDATE, BY_UPDATE_DOWN),
}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which products a list holds: of this category, of this brand, with this text in their names."""

    category: str | None = None
    brand: str | None = None
    name: str | None = None

    @property
    def arguments(self) -> tuple[str | None, str | None, str | None]:
        """As the statements take it."""
        return self.category, self.brand, None if self.name is None else folded(self.name)


@dataclass(frozen=True, slots=True)
class Page:
    """One page, and how many products the whole list holds."""

    content: Sequence[Stored]
    total: int


async def page(database: Database, wanted: Filter, *, order: str, is_down: bool, number: int, size: int) -> Page:
    """A page in an order of the whitelist; products that are equal in it are ordered by id."""
    statement, skipped = ORDERS[order][is_down], number * size
    async with database.transaction() as tx:
        await tx.fetchval(PLAN_EACH)
        rows = await tx.fetch(statement, *wanted.arguments, size, skipped)
        if len(rows) < size and (rows or number == 0):
            total = skipped + len(rows)
        else:
            total = await tx.fetchval(COUNT, *wanted.arguments)
    return Page([stored(row) for row in rows], total)


async def following(database: Database, wanted: Filter, *, after: str, limit: int) -> list[Stored]:
    """Up to so many products by id, from the first one behind an id."""
    async with database.transaction() as tx:
        await tx.fetchval(PLAN_EACH)
        rows = await tx.fetch(AFTER, *wanted.arguments, after, limit)
    return [stored(row) for row in rows]
