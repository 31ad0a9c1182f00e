"""All SQL that changes the index.

Lock order, the same in handlers, HTTP and rebuild: index_state (FOR KEY SHARE by who writes documents, FOR UPDATE by
who moves the slots) → documents by id → words by word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from dovecote.database import Database, Transaction
from dovecote.sql import Sql
from ecom.search.domain import Change, document
from ecom.search.words import stem

# KEY SHARE keeps out who begins or swaps (FOR UPDATE), and lets who only notes progress or counts (UPDATE) pass.
HOLD_STATE = Sql("SELECT live, building, nextval('index_change') FROM index_state FOR KEY SHARE")
# The number is read before the lock is waited for: who drew it or a lower one has committed when the lock is there.
SETTLED_CHANGE = Sql("SELECT coalesce(pg_sequence_last_value('index_change'), 0) FROM index_state FOR UPDATE")
# Sorted, so that overlapping batches wait for each other and never in a circle. The guard is `Change.overrules`.
PUT_DOCUMENTS = Sql("""
    INSERT INTO document AS d
           (slot, product_id, name, folded, category, brand, price, active, hit, words, place, deleted, version,
            occurred_at, written)
    SELECT $1, new.product_id, new.name, new.folded, new.category, new.brand, new.price, new.active,
           new.hit, new.words::tsvector, new.place, new.hit = '', new.version, new.occurred_at,
           pg_current_xact_id()::text::bigint
      FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::numeric[], $8::boolean[],
                  $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::timestamptz[])
        AS new(product_id, name, folded, category, brand, price, active, hit, words, place, version, occurred_at)
     ORDER BY new.product_id
    ON CONFLICT (slot, product_id) DO UPDATE
       SET name = excluded.name, folded = excluded.folded, category = excluded.category,
           brand = excluded.brand, price = excluded.price, active = excluded.active, hit = excluded.hit,
           words = excluded.words, place = excluded.place, deleted = excluded.deleted, version = excluded.version,
           occurred_at = excluded.occurred_at, written = excluded.written
     WHERE CASE WHEN excluded.version IS NOT NULL AND d.version IS NOT NULL THEN excluded.version > d.version
                ELSE excluded.occurred_at >= d.occurred_at END
""")
PUT_WORDS = Sql("""
    INSERT INTO word (slot, word, stem, in_name, anywhere)
    SELECT $1, new.word, new.stem, 0, 0
      FROM unnest($2::text[], $3::text[]) AS new(word, stem)
     ORDER BY new.word
    ON CONFLICT (slot, word) DO NOTHING
""")
FORGET_TOMBSTONES = Sql("""
    DELETE FROM document
     WHERE (slot, product_id) IN (SELECT slot, product_id FROM document
                                   WHERE deleted AND occurred_at < $1
                                   ORDER BY slot, product_id LIMIT $2 FOR UPDATE SKIP LOCKED)
""")
ANALYZE = Sql("SELECT analyze_slot($1)")
MERGE_PENDING = Sql("SELECT merge_pending()")
# In what is active, which is what is searched unless someone says otherwise. Words count under their stem, in the name
# and anywhere; other lexemes under themselves, where they are common enough for a plan to want to know.
COUNT_WORDS = Sql("""
    WITH lexeme AS MATERIALIZED (
        SELECT CASE WHEN left(word, 1) IN ('N', 'X') THEN substr(word, 2) ELSE word END AS stem,
               coalesce(sum(ndoc) FILTER (WHERE left(word, 1) <> 'X'), 0) AS in_name,
               sum(ndoc) AS anywhere
          FROM ts_stat(format('SELECT words FROM document WHERE slot = %L AND NOT deleted AND active', $1::text))
         WHERE left(word, 1) IN ('N', 'X') OR (left(word, 1) IN ('W', 'P', 'C', 'B') AND ndoc >= $2)
         GROUP BY 1
    ), common AS (
        INSERT INTO word (slot, word, stem, in_name, anywhere)
        SELECT $1, stem, stem, in_name, anywhere FROM lexeme WHERE left(stem, 1) IN ('W', 'P', 'C', 'B') ORDER BY stem
        ON CONFLICT (slot, word) DO NOTHING
    ), counted AS (
        SELECT w.word, coalesce(l.in_name, 0) AS in_name, coalesce(l.anywhere, 0) AS anywhere
          FROM word AS w LEFT JOIN lexeme AS l USING (stem)
         WHERE w.slot = $1
         ORDER BY w.word
           FOR UPDATE OF w
    )
    UPDATE word AS w
       SET in_name = counted.in_name, anywhere = counted.anywhere
      FROM counted
     WHERE w.slot = $1 AND w.word = counted.word
       AND (w.in_name, w.anywhere) IS DISTINCT FROM (counted.in_name, counted.anywhere)
""")
# The statistics count every row that any process wrote since the table was made; a crash of the server resets them.
WRITES = Sql("""
    SELECT s.live, s.documents, s.counted_writes,
           (SELECT t.n_tup_ins + t.n_tup_upd + t.n_tup_del
              FROM pg_stat_user_tables AS t WHERE t.relid = ('document_' || s.live)::regclass) AS writes
      FROM index_state AS s
""")
NOTE_COUNT = Sql("""
    UPDATE index_state
       SET documents = (SELECT count(*) FROM document WHERE slot = $1 AND NOT deleted AND active), counted_writes = $2,
           counted_change = $3
""")

COMMON = 200
"""Documents from which on a lexeme that is no word is counted."""
TOMBSTONE: tuple[Any, ...] = ("", "", None, None, 0, False, "", "", 0)
_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True)
class State:
    """Which slot serves, and which is being built beside it."""

    live: str
    building: str | None

    @property
    def slots(self) -> list[str]:
        """Where a change must reach."""
        return [self.live] if self.building is None else [self.live, self.building]


async def hold_state(tx: Transaction) -> State:
    """The slots, which stay as they are until this transaction ends."""
    row = await tx.fetchrow(HOLD_STATE)
    if row is None:
        raise LookupError("index_state has lost its one row")
    return State(row["live"], row["building"])


async def put(tx: Transaction, slots: Sequence[str], changes: Sequence[Change]) -> list[int]:
    """Write changes, each product's last, into slots, each where it is news; says how many were, slot by slot."""
    if not changes:
        return [0 for _ in slots]
    rows, words = [], set[str]()
    for change in changes:
        product = change.product
        row = TOMBSTONE
        if product is not None:
            made = document(product)
            words |= made.words
            row = (
                product.name,
                made.folded,
                product.category,
                product.brand,
                product.price,
                product.active,
                _encode(product).decode(),
                made.lexemes,
                made.place,
            )
        rows.append((change.product_id, *row, change.version, change.occurred_at))
    columns = [list(column) for column in zip(*rows, strict=True)]
    vocabulary = list(words)
    vocabulary_stems = [stem(word) for word in vocabulary]
    changed = []
    for slot in slots:
        changed.append(await tx.execute(PUT_DOCUMENTS, slot, *columns))
        await tx.execute(PUT_WORDS, slot, vocabulary, vocabulary_stems)
    return changed


async def forget_tombstones(tx: Transaction, before: datetime, limit: int) -> int:
    """Delete what has been dead for so long that no late news of it can come."""
    return await tx.execute(FORGET_TOMBSTONES, before, limit)


async def count_words(tx: Transaction, slot: str, writes: int | None = None, *, change: int | None = None) -> None:
    """Refresh how many documents each word has, and how many there are at all, as of so many writes.

    ``change`` is one that is known to be settled, and that the transaction began after.
    """
    await tx.execute(COUNT_WORDS, slot, COMMON)
    await tx.execute(NOTE_COUNT, slot, writes, change)


async def settled_change(database: Database) -> int:
    """The last change, once it and all before it have committed."""
    async with database.transaction("work") as tx:
        return int(await tx.fetchval(SETTLED_CHANGE))


@dataclass(frozen=True, slots=True)
class Writes:
    """How often the slot that serves has been written to, and what of it the counts know."""

    live: str
    documents: int
    counted: int | None
    now: int

    @property
    def since(self) -> int:
        """Writes since the words were counted."""
        return self.now if self.counted is None else abs(self.now - self.counted)


async def read_writes(database: Database) -> Writes:
    """As the statistics have it."""
    row = await database.fetchrow(WRITES)
    if row is None:
        raise LookupError("index_state has lost its one row")
    return Writes(row["live"], row["documents"], row["counted_writes"], row["writes"] or 0)


async def analyze(database: Database, slot: str) -> None:
    """Let the planner see the slot as it is now."""
    await database.fetchval(ANALYZE, slot)


async def merge_pending(database: Database) -> None:
    """Merge what recent changes have left beside the index, so that searches need not read it."""
    await database.fetchval(MERGE_PENDING)
