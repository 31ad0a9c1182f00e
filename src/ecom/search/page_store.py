"""SQL that finds documents by their lexemes, and orders them by tier and place.

The parameters that a plan could depend on, slot and lexemes, stand in a subquery of their own: the planner then knows
as little when it plans for these values as when it plans for any, so it keeps the plan and plans no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from dovecote.database import Database
from dovecote.sql import Sql
from ecom.search.domain import Count
from ecom.search.plan import Tier

TIERS_MAX = 8
_WHENS = TIERS_MAX - 1

# $1 slot, $2 only active, $3 and $4 prices, $5 lexemes, $6 how many matches at most, $7 to $13 the tiers but the last,
# $14 and $15 the page, $16 more lexemes, which the index is not asked for.
SORTED = Sql("""
    WITH match AS MATERIALIZED (
        SELECT d.hit, d.place, d.product_id,
               CASE WHEN d.words @@ $7::tsquery THEN 1
                    WHEN d.words @@ $8::tsquery THEN 2
                    WHEN d.words @@ $9::tsquery THEN 3
                    WHEN d.words @@ $10::tsquery THEN 4
                    WHEN d.words @@ $11::tsquery THEN 5
                    WHEN d.words @@ $12::tsquery THEN 6
                    WHEN d.words @@ $13::tsquery THEN 7
                    ELSE 8 END AS tier
          FROM document AS d
         WHERE d.slot = (SELECT $1::text) AND d.words @@ (SELECT $5::tsquery)
           AND (d.active OR NOT $2::boolean)
           AND ($3::numeric IS NULL OR d.price >= $3::numeric)
           AND ($4::numeric IS NULL OR d.price <= $4::numeric)
           AND ($16::tsquery IS NULL OR d.words @@ $16::tsquery)
         LIMIT $6::bigint
    )
    SELECT (SELECT ARRAY[count(*) FILTER (WHERE tier = 1), count(*) FILTER (WHERE tier = 2),
                         count(*) FILTER (WHERE tier = 3), count(*) FILTER (WHERE tier = 4),
                         count(*) FILTER (WHERE tier = 5), count(*) FILTER (WHERE tier = 6),
                         count(*) FILTER (WHERE tier = 7), count(*) FILTER (WHERE tier = 8)] FROM match) AS counts,
           ARRAY(SELECT hit FROM match ORDER BY tier, place, product_id
                  LIMIT $14::bigint OFFSET $15::bigint) AS hits
""")
# The same pages of what matches too often to be sorted: the narrow tiers whole, and of the wide tier behind them what
# stands in the first places only. $5 is the lexemes of the narrow tiers, $16 those of the wide one's first places; what
# fulfils $17 is counted up to $18.
SAMPLED = Sql("""
    WITH match AS MATERIALIZED (
        (SELECT d.hit, d.place, d.product_id,
                CASE WHEN d.words @@ $7::tsquery THEN 1
                     WHEN d.words @@ $8::tsquery THEN 2
                     WHEN d.words @@ $9::tsquery THEN 3
                     WHEN d.words @@ $10::tsquery THEN 4
                     WHEN d.words @@ $11::tsquery THEN 5
                     WHEN d.words @@ $12::tsquery THEN 6
                     WHEN d.words @@ $13::tsquery THEN 7
                     ELSE 8 END AS tier
           FROM document AS d
          WHERE d.slot = (SELECT $1::text) AND d.words @@ (SELECT $5::tsquery)
            AND (d.active OR NOT $2::boolean)
            AND ($3::numeric IS NULL OR d.price >= $3::numeric)
            AND ($4::numeric IS NULL OR d.price <= $4::numeric)
          LIMIT $6::bigint)
        UNION ALL
        (SELECT d.hit, d.place, d.product_id, 9
           FROM document AS d
          WHERE d.slot = (SELECT $1::text) AND d.words @@ (SELECT $16::tsquery)
            AND NOT d.words @@ $5::tsquery
            AND (d.active OR NOT $2::boolean)
            AND ($3::numeric IS NULL OR d.price >= $3::numeric)
            AND ($4::numeric IS NULL OR d.price <= $4::numeric))
    )
    SELECT (SELECT count(*) FROM match WHERE tier < 9) AS narrow,
           (SELECT count(*) FROM match WHERE tier = 9) AS wide,
           (SELECT count(*)
              FROM (SELECT FROM document AS d
                     WHERE d.slot = (SELECT $1::text) AND d.words @@ (SELECT $17::tsquery)
                       AND (d.active OR NOT $2::boolean)
                       AND ($3::numeric IS NULL OR d.price >= $3::numeric)
                       AND ($4::numeric IS NULL OR d.price <= $4::numeric)
                     LIMIT $18::bigint) AS counted) AS total,
           ARRAY(SELECT hit FROM match ORDER BY tier, place, product_id
                  LIMIT $14::bigint OFFSET $15::bigint) AS hits
""")
COUNT_MATCHES = Sql("""
    SELECT count(*)
      FROM (SELECT FROM document AS d
             WHERE d.slot = (SELECT $1::text) AND d.words @@ (SELECT $5::tsquery)
               AND (d.active OR NOT $2::boolean)
               AND ($3::numeric IS NULL OR d.price >= $3::numeric)
               AND ($4::numeric IS NULL OR d.price <= $4::numeric)
             LIMIT $6::bigint) AS match
""")
COUNT_FACETS = Sql("""
    WITH match AS MATERIALIZED (
        SELECT d.category, d.brand
          FROM document AS d
         WHERE d.slot = (SELECT $1::text) AND d.words @@ (SELECT $5::tsquery)
           AND (d.active OR NOT $2::boolean)
           AND ($3::numeric IS NULL OR d.price >= $3::numeric)
           AND ($4::numeric IS NULL OR d.price <= $4::numeric)
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
    change: int
    """The last change of the index: what was counted before it is out of date."""
    is_counted: bool
    """Whether the words have been counted since."""

    @property
    def takes_counts(self) -> bool:
        """Whether the count of a word is the count of its matches: of what is active, at any price."""
        return self.is_counted and self.active_only and self.price_min is None and self.price_max is None

    @property
    def arguments(self) -> tuple[str, bool, Decimal | None, Decimal | None]:
        """As the statements take them."""
        return self.slot, self.active_only, self.price_min, self.price_max


@dataclass(frozen=True, slots=True)
class Sampled:
    """A page of a common query, and how many matches of each part were looked at for it."""

    narrow: int
    wide: int
    total: int
    hits: Sequence[str]


async def sorted_page(
    database: Database, scope: Scope, tiers: Sequence[Tier], *, most: int, limit: int, offset: int
) -> tuple[Sequence[int], Sequence[str]]:
    """How many documents are in each tier (at most ``most`` are looked at), and a page of them."""
    widest = tiers[-1]
    rest = widest.covers if widest.covers != widest.scan else None
    row = await database.fetchrow(SORTED, *scope.arguments, widest.scan, most, *_whens(tiers), limit, offset, rest)
    if row is None:
        return [0 for _ in tiers], ()
    # The last tier has the number of whatever passes no test.
    return [*row["counts"][: len(tiers) - 1], row["counts"][_WHENS]], row["hits"]


async def sampled_page(
    database: Database,
    scope: Scope,
    narrow: Sequence[Tier],
    sample: str,
    *,
    most: int,
    count: tuple[str, int],
    limit: int,
    offset: int,
) -> Sampled:
    """A page out of the narrow tiers (at most ``most`` of them), and behind them a sample of the wide one.

    ``count`` is lexemes of which the matches are counted, and how many at most.
    """
    widest = narrow[-1].covers if narrow else ""
    row = await database.fetchrow(
        SAMPLED, *scope.arguments, widest, most, *_whens(narrow), limit, offset, sample, *count
    )
    if row is None:
        return Sampled(0, 0, 0, ())
    return Sampled(row["narrow"], row["wide"], row["total"], row["hits"])


async def count(database: Database, scope: Scope, lexemes: str, most: int) -> int:
    """How many documents match, at most so many."""
    return int(await database.fetchval(COUNT_MATCHES, *scope.arguments, lexemes, most))


async def facets(database: Database, scope: Scope, lexemes: str, most: int) -> dict[str, Sequence[Count]]:
    """The commonest values of each facet among what matches."""
    found: dict[str, list[Count]] = {"category": [], "brand": []}
    for row in await database.fetch(COUNT_FACETS, *scope.arguments, lexemes, most):
        found[row["facet"]].append(Count(row["value"], row["count"]))
    return dict(found)


def _whens(tiers: Sequence[Tier]) -> list[str]:
    whens = [tier.test for tier in tiers[:-1]]
    return [*whens, *[""] * (_WHENS - len(whens))]
