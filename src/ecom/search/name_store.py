"""SQL that completes names."""

from __future__ import annotations

from dovecote.database import Database
from dovecote.sql import Sql
from ecom.search.word_store import RANGE_END

# A step of the recursion finds the next name in the index, however many products share the one before. Names of which
# nothing is on sale are left out at the end; so that they cannot use up the steps, more are taken than are wanted.
NAMES_BEGINNING = Sql("""
    WITH RECURSIVE step AS (
        (SELECT d.folded, 1 AS number
           FROM document AS d
          WHERE d.slot = (SELECT $1::text) AND NOT d.deleted
            AND d.folded >= (SELECT $2::text) AND d.folded < (SELECT $3::text)
          ORDER BY d.folded LIMIT 1)
        UNION ALL
        SELECT next.folded, step.number + 1
          FROM step
         CROSS JOIN LATERAL
               (SELECT d.folded
                  FROM document AS d
                 WHERE d.slot = (SELECT $1::text) AND NOT d.deleted
                   AND d.folded > step.folded AND d.folded < (SELECT $3::text)
                 ORDER BY d.folded LIMIT 1) AS next
         WHERE step.number < (SELECT 2 * $4::bigint)
    )
    SELECT shown.name
      FROM step
     CROSS JOIN LATERAL
           (SELECT d.name
              FROM document AS d
             WHERE d.slot = (SELECT $1::text) AND NOT d.deleted AND d.folded = step.folded AND d.active
             ORDER BY d.place, d.product_id LIMIT 1) AS shown
     ORDER BY step.number
     LIMIT $4
""")


async def beginning(database: Database, slot: str, text: str, limit: int) -> list[str]:
    """Names of products on sale that begin with a folded text, each once, in their order."""
    rows = await database.fetch(NAMES_BEGINNING, slot, text, text + RANGE_END, limit)
    return [row["name"] for row in rows]
