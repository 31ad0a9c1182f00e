"""SQL that reads the vocabulary."""

from __future__ import annotations

from collections.abc import Sequence

from dovecote.database import Database
from dovecote.sql import Sql
from ecom.search.plan import Known

# The range of a prefix ends where its last character would be the last there is.
RANGE_END = "\U0010ffff"
RANGE_MAX = 2_000
"""Words of a prefix that are looked at: a short prefix of a large vocabulary has too many to weigh them all."""
ALIKE_MAX = 200

# The writes tell when a count is out of date; the statistics lag behind the table by a second, at worst by ten.
READ_STATE = Sql("""
    SELECT s.live, s.documents,
           coalesce((SELECT t.n_tup_ins + t.n_tup_upd + t.n_tup_del
                       FROM pg_stat_user_tables AS t WHERE t.relid = ('document_' || s.live)::regclass), 0) AS writes
      FROM index_state AS s
""")
FIND_STEMS = Sql("""
    SELECT stem, max(in_name) AS in_name, max(anywhere) AS anywhere
      FROM word
     WHERE slot = $1 AND stem = ANY($2::text[])
     GROUP BY stem
""")
FIND_PREFIX = Sql("""
    SELECT stem, max(in_name) AS in_name, max(anywhere) AS anywhere
      FROM (SELECT stem, in_name, anywhere FROM word
             WHERE slot = $1 AND word >= $2 AND word < $3 ORDER BY word LIMIT $4) AS w
     GROUP BY stem
     ORDER BY max(anywhere) DESC, stem
     LIMIT $5
""")
FIND_ALIKE = Sql("""
    SELECT word, stem, in_name, anywhere FROM word WHERE slot = $1 AND word = ANY($2::text[])
    UNION
    (SELECT word, stem, in_name, anywhere FROM word
      WHERE slot = $1 AND is_alike(word, $3)
      ORDER BY likeness(word, $3) DESC, word LIMIT $4)
""")


async def read_state(database: Database) -> tuple[str, int, int]:
    """The slot that serves, about how many documents it has, and how often it has been written to."""
    row = await database.fetchrow(READ_STATE)
    if row is None:
        raise LookupError("index_state has lost its one row")
    return row["live"], row["documents"], row["writes"]


async def find_stems(database: Database, slot: str, stems: Sequence[str]) -> dict[str, Known]:
    """Those of the stems that the vocabulary has."""
    rows = await database.fetch(FIND_STEMS, slot, stems)
    return {row["stem"]: Known(row["stem"], row["in_name"], row["anywhere"]) for row in rows}


async def find_prefix(database: Database, slot: str, prefix: str, limit: int) -> list[Known]:
    """What words that begin so are indexed under, the commonest first."""
    rows = await database.fetch(FIND_PREFIX, slot, prefix, prefix + RANGE_END, RANGE_MAX, limit)
    return [Known(row["stem"], row["in_name"], row["anywhere"]) for row in rows]


async def find_alike(database: Database, slot: str, word: str, near: Sequence[str]) -> list[tuple[str, Known]]:
    """Words that are one of those given, or share trigrams with the one typed."""
    rows = await database.fetch(FIND_ALIKE, slot, near, word, ALIKE_MAX)
    return [(row["word"], Known(row["stem"], row["in_name"], row["anywhere"])) for row in rows]
