"""SQL that finds documents sorted by a key: all matches sorted, or a walk along the key's index until enough match.

The parameters are those of `ecom.search.page_store`, in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence

from dovecote.database import Database
from dovecote.sql import Sql
from ecom.search.domain import Sort
from ecom.search.page_store import Scope

# $7 the key, $8 whether downwards, $9 and $10 the page. Downwards is upwards read from its end, ties included.
SORTED_BY_KEY = Sql("""
    WITH match AS MATERIALIZED (
        SELECT d.hit, d.place, d.product_id,
               CASE WHEN (SELECT $7::text) = 'price' THEN d.price END AS price,
               CASE WHEN (SELECT $7::text) = 'name' THEN d.folded END AS folded,
               CASE WHEN (SELECT $7::text) = 'updatedAt' THEN d.occurred_at END AS occurred_at
          FROM document AS d
         WHERE d.slot = (SELECT $1::text) AND d.words @@ (SELECT $5::text::tsquery)
           AND (d.active OR NOT (SELECT $2::boolean))
           AND d.price >= (SELECT coalesce($3::numeric, '-Infinity'))
           AND d.price <= (SELECT coalesce($4::numeric, 'Infinity'))
         LIMIT (SELECT $6::bigint)
    )
    SELECT (SELECT count(*) FROM match) AS total,
           CASE WHEN $8::boolean
                THEN ARRAY(SELECT hit FROM match
                            ORDER BY price DESC, folded DESC, occurred_at DESC, place DESC, product_id DESC
                            LIMIT (SELECT $9::bigint) OFFSET (SELECT $10::bigint))
                ELSE ARRAY(SELECT hit FROM match
                            ORDER BY price, folded, occurred_at, place, product_id
                            LIMIT (SELECT $9::bigint) OFFSET (SELECT $10::bigint)) END AS hits
""")
# $6 how many rows of the index to look at, $7 how many hits are wanted. What is inactive has an index of its own.
WALK_PRICE = Sql("""
    SELECT hit
      FROM ((SELECT d.hit, d.price, d.place, d.product_id, d.words
               FROM document AS d
              WHERE d.slot = (SELECT $1::text) AND NOT d.deleted AND d.active
                AND d.price >= (SELECT coalesce($3::numeric, '-Infinity'))
                AND d.price <= (SELECT coalesce($4::numeric, 'Infinity'))
              ORDER BY d.price, d.place, d.product_id LIMIT (SELECT $6::bigint))
            UNION ALL
            (SELECT d.hit, d.price, d.place, d.product_id, d.words
               FROM document AS d
              WHERE (SELECT NOT $2::boolean) AND d.slot = (SELECT $1::text) AND NOT d.deleted AND NOT d.active
                AND d.price >= (SELECT coalesce($3::numeric, '-Infinity'))
                AND d.price <= (SELECT coalesce($4::numeric, 'Infinity'))
              ORDER BY d.price, d.place, d.product_id LIMIT (SELECT $6::bigint))
            ORDER BY price, place, product_id
            LIMIT (SELECT $6::bigint)) AS walked
     WHERE (SELECT $5::text) = '' OR words @@ (SELECT $5::text::tsquery)
     ORDER BY price, place, product_id
     LIMIT (SELECT $7::bigint)
""")
WALK_PRICE_DOWN = Sql("""
    SELECT hit
      FROM ((SELECT d.hit, d.price, d.place, d.product_id, d.words
               FROM document AS d
              WHERE d.slot = (SELECT $1::text) AND NOT d.deleted AND d.active
                AND d.price >= (SELECT coalesce($3::numeric, '-Infinity'))
                AND d.price <= (SELECT coalesce($4::numeric, 'Infinity'))
              ORDER BY d.price DESC, d.place DESC, d.product_id DESC LIMIT (SELECT $6::bigint))
            UNION ALL
            (SELECT d.hit, d.price, d.place, d.product_id, d.words
               FROM document AS d
              WHERE (SELECT NOT $2::boolean) AND d.slot = (SELECT $1::text) AND NOT d.deleted AND NOT d.active
                AND d.price >= (SELECT coalesce($3::numeric, '-Infinity'))
                AND d.price <= (SELECT coalesce($4::numeric, 'Infinity'))
              ORDER BY d.price DESC, d.place DESC, d.product_id DESC LIMIT (SELECT $6::bigint))
            ORDER BY price DESC, place DESC, product_id DESC
            LIMIT (SELECT $6::bigint)) AS walked
     WHERE (SELECT $5::text) = '' OR words @@ (SELECT $5::text::tsquery)
     ORDER BY price DESC, place DESC, product_id DESC
     LIMIT (SELECT $7::bigint)
""")
WALK_NAME = Sql("""
    SELECT hit
      FROM (SELECT d.hit, d.folded, d.place, d.product_id, d.words, d.active, d.price
              FROM document AS d
             WHERE d.slot = (SELECT $1::text) AND NOT d.deleted
             ORDER BY d.folded, d.place, d.product_id LIMIT (SELECT $6::bigint)) AS walked
     WHERE ((SELECT $5::text) = '' OR words @@ (SELECT $5::text::tsquery))
       AND (active OR NOT (SELECT $2::boolean))
       AND price BETWEEN (SELECT coalesce($3::numeric, '-Infinity')) AND (SELECT coalesce($4::numeric, 'Infinity'))
     ORDER BY folded, place, product_id
     LIMIT (SELECT $7::bigint)
""")
WALK_NAME_DOWN = Sql("""
    SELECT hit
      FROM (SELECT d.hit, d.folded, d.place, d.product_id, d.words, d.active, d.price
              FROM document AS d
             WHERE d.slot = (SELECT $1::text) AND NOT d.deleted
             ORDER BY d.folded DESC, d.place DESC, d.product_id DESC LIMIT (SELECT $6::bigint)) AS walked
     WHERE ((SELECT $5::text) = '' OR words @@ (SELECT $5::text::tsquery))
       AND (active OR NOT (SELECT $2::boolean))
       AND price BETWEEN (SELECT coalesce($3::numeric, '-Infinity')) AND (SELECT coalesce($4::numeric, 'Infinity'))
     ORDER BY folded DESC, place DESC, product_id DESC
     LIMIT (SELECT $7::bigint)
""")
WALK_UPDATED = Sql("""
    SELECT hit
      FROM (SELECT d.hit, d.occurred_at, d.place, d.product_id, d.words, d.active, d.price
              FROM document AS d
             WHERE d.slot = (SELECT $1::text) AND NOT d.deleted
             ORDER BY d.occurred_at, d.place, d.product_id LIMIT (SELECT $6::bigint)) AS walked
     WHERE ((SELECT $5::text) = '' OR words @@ (SELECT $5::text::tsquery))
       AND (active OR NOT (SELECT $2::boolean))
       AND price BETWEEN (SELECT coalesce($3::numeric, '-Infinity')) AND (SELECT coalesce($4::numeric, 'Infinity'))
     ORDER BY occurred_at, place, product_id
     LIMIT (SELECT $7::bigint)
""")
WALK_UPDATED_DOWN = Sql("""
    SELECT hit
      FROM (SELECT d.hit, d.occurred_at, d.place, d.product_id, d.words, d.active, d.price
              FROM document AS d
             WHERE d.slot = (SELECT $1::text) AND NOT d.deleted
             ORDER BY d.occurred_at DESC, d.place DESC, d.product_id DESC LIMIT (SELECT $6::bigint)) AS walked
     WHERE ((SELECT $5::text) = '' OR words @@ (SELECT $5::text::tsquery))
       AND (active OR NOT (SELECT $2::boolean))
       AND price BETWEEN (SELECT coalesce($3::numeric, '-Infinity')) AND (SELECT coalesce($4::numeric, 'Infinity'))
     ORDER BY occurred_at DESC, place DESC, product_id DESC
     LIMIT (SELECT $7::bigint)
""")
WALKS = {
    (Sort.PRICE, False): WALK_PRICE,
    (Sort.PRICE, True): WALK_PRICE_DOWN,
    (Sort.NAME, False): WALK_NAME,
    (Sort.NAME, True): WALK_NAME_DOWN,
    (Sort.UPDATED, False): WALK_UPDATED,
    (Sort.UPDATED, True): WALK_UPDATED_DOWN,
}


async def sorted_page(
    database: Database,
    scope: Scope,
    lexemes: str,
    by: tuple[Sort, bool],
    *,
    most: int,
    limit: int,
    offset: int,
) -> tuple[int, Sequence[str]]:
    """How many documents match (at most ``most`` are looked at), and a page of them."""
    key, down = by
    row = await database.fetchrow(SORTED_BY_KEY, *scope.arguments, lexemes, most, key.value, down, limit, offset)
    return (row["total"], row["hits"]) if row is not None else (0, ())


async def walk(
    database: Database, scope: Scope, lexemes: str, by: tuple[Sort, bool], *, rows: int, wanted: int
) -> Sequence[str]:
    """The first hits, as many as are found within so many rows of the key's index."""
    return [row["hit"] for row in await database.fetch(WALKS[by], *scope.arguments, lexemes, rows, wanted)]
