"""SQL that finds documents by their lexemes, and orders them by tier and place.

Every parameter that a plan could depend on stands in a subquery of its own: the planner then knows as little when it
plans for these values as when it plans for any, so it keeps the plan and plans no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from dovecote.database import Database
from dovecote.sql import Sql
from ecom.search.domain import Count

TIERS_MAX = 7
_WHENS = TIERS_MAX - 1

# $1 slot, $2 only active, $3 and $4 prices, $5 lexemes, $6 how many matches at most, $7 the exact name, $8 to $13 the
# tiers but the last, $14 and $15 the page.
SORTED = Sql("""
    WITH match AS MATERIALIZED (
        SELECT d.hit, d.place, d.product_id,
               CASE WHEN d.folded = (SELECT $7::text) THEN 0
                    WHEN d.words @@ (SELECT $8::text::tsquery) THEN 1
                    WHEN d.words @@ (SELECT $9::text::tsquery) THEN 2
                    WHEN d.words @@ (SELECT $10::text::tsquery) THEN 3
                    WHEN d.words @@ (SELECT $11::text::tsquery) THEN 4
                    WHEN d.words @@ (SELECT $12::text::tsquery) THEN 5
                    WHEN d.words @@ (SELECT $13::text::tsquery) THEN 6
                    ELSE 7 END AS tier
          FROM document AS d
         WHERE d.slot = (SELECT $1::text) AND d.words @@ (SELECT $5::text::tsquery)
           AND (d.active OR NOT (SELECT $2::boolean))
           AND d.price >= (SELECT coalesce($3::numeric, '-Infinity'))
           AND d.price <= (SELECT coalesce($4::numeric, 'Infinity'))
         LIMIT (SELECT $6::bigint)
    )
    SELECT (SELECT count(*) FROM match) AS total,
           ARRAY(SELECT hit FROM match ORDER BY tier, place, product_id
                  LIMIT (SELECT $14::bigint) OFFSET (SELECT $15::bigint)) AS hits
""")
# The same first page (and the next ones) of what matches too often to be sorted: the exact names in the order of their
# index, the narrow tiers whole, and of the wide tier behind them what stands in the first places only.
# $5 lexemes of the narrow tiers, $8 to $13 those tiers but the last, $16 lexemes of the wide tier in the first places,
# $17 its lexemes.
SAMPLED = Sql("""
    WITH match AS MATERIALIZED (
        (SELECT d.hit, d.place, d.product_id, 0 AS tier
           FROM document AS d
          WHERE d.slot = (SELECT $1::text) AND NOT d.deleted AND d.folded = (SELECT $7::text)
            AND (d.words @@ (SELECT $17::text::tsquery)) IS TRUE
            AND (d.active OR NOT (SELECT $2::boolean))
            AND (d.price >= (SELECT coalesce($3::numeric, '-Infinity'))) IS TRUE
            AND (d.price <= (SELECT coalesce($4::numeric, 'Infinity'))) IS TRUE
          ORDER BY d.place, d.product_id
          LIMIT (SELECT $14::bigint + $15::bigint))
        UNION ALL
        (SELECT d.hit, d.place, d.product_id,
                CASE WHEN d.words @@ (SELECT $8::text::tsquery) THEN 1
                     WHEN d.words @@ (SELECT $9::text::tsquery) THEN 2
                     WHEN d.words @@ (SELECT $10::text::tsquery) THEN 3
                     WHEN d.words @@ (SELECT $11::text::tsquery) THEN 4
                     WHEN d.words @@ (SELECT $12::text::tsquery) THEN 5
                     WHEN d.words @@ (SELECT $13::text::tsquery) THEN 6
                     ELSE 7 END
           FROM document AS d
          WHERE d.slot = (SELECT $1::text) AND d.words @@ (SELECT $5::text::tsquery)
            AND (d.folded = (SELECT $7::text)) IS NOT TRUE
            AND (d.active OR NOT (SELECT $2::boolean))
            AND d.price >= (SELECT coalesce($3::numeric, '-Infinity'))
            AND d.price <= (SELECT coalesce($4::numeric, 'Infinity'))
          LIMIT (SELECT $6::bigint))
        UNION ALL
        (SELECT d.hit, d.place, d.product_id, 8
           FROM document AS d
          WHERE d.slot = (SELECT $1::text) AND d.words @@ (SELECT $16::text::tsquery)
            AND (d.words @@ (SELECT $5::text::tsquery)) IS NOT TRUE
            AND (d.folded = (SELECT $7::text)) IS NOT TRUE
            AND (d.active OR NOT (SELECT $2::boolean))
            AND d.price >= (SELECT coalesce($3::numeric, '-Infinity'))
            AND d.price <= (SELECT coalesce($4::numeric, 'Infinity')))
    )
    SELECT (SELECT count(*) FILTER (WHERE tier = 0) FROM match) AS exact,
           (SELECT count(*) FILTER (WHERE tier BETWEEN 1 AND 7) FROM match) AS narrow,
           (SELECT count(*) FILTER (WHERE tier = 8) FROM match) AS wide,
           ARRAY(SELECT hit FROM match ORDER BY tier, place, product_id
                  LIMIT (SELECT $14::bigint) OFFSET (SELECT $15::bigint)) AS hits
""")
COUNT_MATCHES = Sql("""
    SELECT count(*)
      FROM (SELECT FROM document AS d
             WHERE d.slot = (SELECT $1::text) AND d.words @@ (SELECT $5::text::tsquery)
               AND (d.active OR NOT (SELECT $2::boolean))
               AND d.price >= (SELECT coalesce($3::numeric, '-Infinity'))
               AND d.price <= (SELECT coalesce($4::numeric, 'Infinity'))
             LIMIT (SELECT $6::bigint)) AS match
""")
COUNT_FACETS = Sql("""
    WITH match AS MATERIALIZED (
        SELECT d.category, d.brand
          FROM document AS d
         WHERE d.slot = (SELECT $1::text) AND d.words @@ (SELECT $5::text::tsquery)
           AND (d.active OR NOT (SELECT $2::boolean))
           AND d.price >= (SELECT coalesce($3::numeric, '-Infinity'))
           AND d.price <= (SELECT coalesce($4::numeric, 'Infinity'))
    )
    (SELECT 'category' AS facet, category AS value, count(*) AS count
       FROM match WHERE category IS NOT NULL GROUP BY category ORDER BY count(*) DESC, category LIMIT $6)
    UNION ALL
    (SELECT 'brand', brand, count(*)
       FROM match WHERE brand IS NOT NULL GROUP BY brand ORDER BY count(*) DESC, brand LIMIT $6)
""")


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a query looks, and what it leaves out beside its lexemes."""

    slot: str
    active_only: bool
    price_min: Decimal | None
    price_max: Decimal | None
    writes: int
    """How often the slot has been written to: what was counted before the last time is out of date."""

    @property
    def arguments(self) -> tuple[str, bool, Decimal | None, Decimal | None]:
        """As the statements take them."""
        return self.slot, self.active_only, self.price_min, self.price_max


@dataclass(frozen=True, slots=True)
class Sampled:
    """A page of a common query, and how many matches of each part were looked at for it."""

    exact: int
    narrow: int
    wide: int
    hits: Sequence[str]


async def sorted_page(
    database: Database, scope: Scope, exact: str, tiers: Sequence[str], *, most: int, limit: int, offset: int
) -> tuple[int, Sequence[str]]:
    """How many documents match (at most ``most`` are looked at), and a page of them."""
    row = await database.fetchrow(
        SORTED, *scope.arguments, tiers[-1], most, exact or None, *_whens(tiers), limit, offset
    )
    return (row["total"], row["hits"]) if row is not None else (0, ())


async def sampled_page(
    database: Database,
    scope: Scope,
    exact: str,
    narrow: Sequence[str],
    *,
    wide: str,
    first_places: str,
    most: int,
    limit: int,
    offset: int,
) -> Sampled:
    """A page out of the exact names, the narrow tiers (at most ``most`` of them) and the wide tier's first places."""
    widest = narrow[-1] if narrow else ""
    sample = f"({wide}) & {first_places}" if wide else first_places
    row = await database.fetchrow(
        SAMPLED,
        *scope.arguments,
        *(widest, most, exact or None),
        *_whens(narrow),
        *(limit, offset, sample, wide),
    )
    return Sampled(row["exact"], row["narrow"], row["wide"], row["hits"]) if row is not None else Sampled(0, 0, 0, ())


async def count(database: Database, scope: Scope, lexemes: str, most: int) -> int:
    """How many documents match, at most so many."""
    return int(await database.fetchval(COUNT_MATCHES, *scope.arguments, lexemes, most))


async def facets(database: Database, scope: Scope, lexemes: str, most: int) -> dict[str, Sequence[Count]]:
    """The commonest values of each facet among what matches."""
    found: dict[str, list[Count]] = {"category": [], "brand": []}
    for row in await database.fetch(COUNT_FACETS, *scope.arguments, lexemes, most):
        found[row["facet"]].append(Count(row["value"], row["count"]))
    return dict(found)


def _whens(tiers: Sequence[str]) -> list[str]:
    whens = list(tiers[:-1])
    return [*whens, *[""] * (_WHENS - len(whens))]
