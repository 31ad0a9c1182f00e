"""SQL that reads the vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dovecote.database import Database, Record
from dovecote.sql import Sql
from ecom.search.plan import Known

# The range of a prefix ends where its last character would be the last there is.
RANGE_END = "\U0010ffff"
RANGE_MAX = 2_000
"""Words of a prefix that are looked at: a short prefix of a large vocabulary has too many to weigh them all."""
ALIKE_MAX = 200
COMMON_MAX = 20_000
"""Words and lexemes that a process remembers."""

READ_STATE = Sql("""
    SELECT live, documents, counted_change, completed_at, coalesce(pg_sequence_last_value('index_change'), 0) AS change
      FROM index_state
""")
FIND_STEMS = Sql("""
    SELECT stem, max(in_name) AS in_name, max(anywhere) AS anywhere
      FROM word
     WHERE slot = (SELECT $1::text) AND stem = ANY((SELECT $2::text[])::text[])
     GROUP BY stem
""")
# The commonest words by their stem, and the common lexemes that are no words by themselves.
FIND_COMMON = Sql("""
    SELECT stem, max(in_name) AS in_name, max(anywhere) AS anywhere
      FROM word
     WHERE slot = $1 AND anywhere > 0
     GROUP BY stem
     ORDER BY max(anywhere) DESC, stem
     LIMIT $2
""")
FIND_PREFIX = Sql("""
    SELECT stem, max(in_name) AS in_name, max(anywhere) AS anywhere
      FROM (SELECT stem, in_name, anywhere FROM word
             WHERE slot = (SELECT $1::text) AND word >= (SELECT $2::text) AND word < (SELECT $3::text)
             ORDER BY word LIMIT (SELECT $4::bigint)) AS w
     GROUP BY stem
     ORDER BY max(anywhere) DESC, stem
     LIMIT (SELECT $5::bigint)
""")
FIND_MEANINGS = Sql("""
    (SELECT NULL AS word, stem, max(in_name) AS in_name, max(anywhere) AS anywhere
       FROM (SELECT stem, in_name, anywhere FROM word
              WHERE slot = (SELECT $1::text) AND word >= (SELECT $2::text) AND word < (SELECT $3::text)
              ORDER BY word LIMIT (SELECT $4::bigint)) AS w
      GROUP BY stem
      ORDER BY max(anywhere) DESC, stem
      LIMIT (SELECT $5::bigint))
    UNION ALL
    SELECT word, stem, in_name, anywhere
      FROM word
     WHERE slot = (SELECT $1::text) AND word = ANY((SELECT $6::text[])::text[])
""")
# A lexeme that is no word begins with a capital, which no word has.
FIND_ALIKE = Sql("""
    SELECT word, stem, in_name, anywhere FROM words_alike($1, $2, $3) WHERE NOT (word >= 'A' AND word < '[')
""")


@dataclass(frozen=True, slots=True)
class State:
    """Which slot serves and since when, about how many documents it has, the last change, and the last one counted."""

    live: str
    documents: int
    change: int
    counted: int | None
    swapped_at: datetime | None

    @property
    def is_counted(self) -> bool:
        """Whether nothing has changed since the words were counted."""
        return self.change == self.counted


async def read_state(database: Database) -> State:
    """The index as it is now."""
    row = await database.fetchrow(READ_STATE)
    if row is None:
        raise LookupError("index_state has lost its one row")
    return State(row["live"], row["documents"], row["change"], row["counted_change"], row["completed_at"])


async def find_common(database: Database, slot: str) -> dict[str, Known]:
    """What is common, as the job has counted it."""
    rows = await database.fetch(FIND_COMMON, slot, COMMON_MAX)
    return {row["stem"]: Known(row["stem"], row["in_name"], row["anywhere"]) for row in rows}


async def find_stems(database: Database, slot: str, stems: Sequence[str]) -> dict[str, Known]:
    """Those of the stems that the vocabulary has."""
    rows = await database.fetch(FIND_STEMS, slot, stems)
    return {row["stem"]: Known(row["stem"], row["in_name"], row["anywhere"]) for row in rows}


async def find_prefix(database: Database, slot: str, prefix: str, limit: int) -> list[Known]:
    """What words that begin so are indexed under, the commonest first."""
    rows = await database.fetch(FIND_PREFIX, slot, prefix, prefix + RANGE_END, RANGE_MAX, limit)
    return [Known(row["stem"], row["in_name"], row["anywhere"]) for row in rows]


async def find_meanings(
    database: Database, slot: str, word: str, near: Sequence[str], limit: int
) -> tuple[list[Known], list[tuple[str, Known]]]:
    """What words that begin so are indexed under, the commonest first; and those of the words given that there are."""
    rows = await database.fetch(FIND_MEANINGS, slot, word, word + RANGE_END, RANGE_MAX, limit, near)
    found = _found(rows)
    return [known for other, known in found if other is None], [each for each in found if each[0] is not None]


async def find_alike(database: Database, slot: str, word: str) -> list[tuple[str, Known]]:
    """Words that share trigrams with one."""
    return _found(await database.fetch(FIND_ALIKE, slot, word, ALIKE_MAX))


def _found(rows: Sequence[Record]) -> list[tuple[str, Known]]:
    return [(row["word"], Known(row["stem"], row["in_name"], row["anywhere"])) for row in rows]
