"""SQL that reads the index for a process that holds it in its memory.

Who reads notes the oldest transaction that is under way, and asks next time for what that one and later ones wrote:
transactions commit in any order, and none is missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dovecote.database import Database, Record
from dovecote.sql import Sql
from ecom.search.plan import Known

READ_MOMENT = Sql("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
# One value: tens of thousands of rows at once would hold the loop while they are decoded.
READ_PLACES = Sql("""
    SELECT coalesce(string_agg(int8send(place), ''::bytea ORDER BY place), ''::bytea)
      FROM document
     WHERE slot = $1 AND active AND NOT deleted
""")
READ_DOCUMENTS = Sql("""
    SELECT product_id, place, folded, hit, array_to_string(tsvector_to_array(words), ' ') AS lexemes
      FROM document
     WHERE slot = (SELECT $1::text) AND product_id > (SELECT $2::text) AND active AND NOT deleted
     ORDER BY product_id
     LIMIT (SELECT $3::bigint)
""")
# One snapshot for all, so that the moment is that of the rows; a moment alone where nothing was written.
READ_SINCE = Sql("""
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS moment, d.written, d.product_id, d.place, d.folded,
           d.hit, d.active AND NOT d.deleted AS is_shown, array_to_string(tsvector_to_array(d.words), ' ') AS lexemes
      FROM (SELECT) AS always
      LEFT JOIN (SELECT written, product_id, place, folded, hit, active, deleted, words
                   FROM document
                  WHERE slot = (SELECT $1::text) AND written >= (SELECT $2::bigint)
                  LIMIT (SELECT $3::bigint)) AS d ON true
""")
READ_WORDS = Sql("""
    SELECT word, stem, in_name, anywhere
      FROM word
     WHERE slot = (SELECT $1::text) AND word > (SELECT $2::text)
     ORDER BY word
     LIMIT (SELECT $3::bigint)
""")
READ_WORDS_SINCE = Sql("""
    SELECT word, stem, in_name, anywhere
      FROM word
     WHERE slot = (SELECT $1::text) AND written >= (SELECT $2::bigint)
     LIMIT (SELECT $3::bigint)
""")


@dataclass(frozen=True, slots=True)
class Since:
    """What was written since a moment, and the moment to ask from next."""

    moment: int
    documents: Sequence[Record]
    words: Sequence[tuple[str, Known]]


async def read_moment(database: Database) -> int:
    """The oldest transaction that is under way."""
    return int(await database.fetchval(READ_MOMENT))


async def read_places(database: Database, slot: str) -> bytes:
    """The places of all that is on sale, in order, as PostgreSQL sends numbers."""
    return bytes(await database.fetchval(READ_PLACES, slot))


async def read_documents(database: Database, slot: str, after: str, limit: int) -> Sequence[Record]:
    """The next documents by their id."""
    return await database.fetch(READ_DOCUMENTS, slot, after, limit)


async def read_words(database: Database, slot: str, after: str, limit: int) -> Sequence[tuple[str, Known]]:
    """The next words."""
    return _words(await database.fetch(READ_WORDS, slot, after, limit))


async def read_since(database: Database, slot: str, moment: int, documents_max: int, words_max: int) -> Since:
    """What transactions from this one on have written, of each at most so many."""
    rows = await database.fetch(READ_SINCE, slot, moment, documents_max)
    # Words after documents: what is seen of these was written with the others.
    words = _words(await database.fetch(READ_WORDS_SINCE, slot, moment, words_max))
    return Since(rows[0]["moment"], [row for row in rows if row["product_id"] is not None], words)


def _words(rows: Sequence[Record]) -> list[tuple[str, Known]]:
    return [(row["word"], Known(row["stem"], row["in_name"], row["anywhere"])) for row in rows]
