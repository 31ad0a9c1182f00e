"""SQL of a rebuild: the slot that is being built, what it takes over from the one that serves, and their exchange.

The row of ``index_state`` is locked FOR UPDATE to begin and to swap: every writer at work has ended then, and the next
one knows. Everything between is fenced by the run's id: a run that another has taken over changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from dovecote.database import Database, Record, Transaction
from dovecote.errors import DovecoteError
from dovecote.sql import Sql
from ecom.search import store
from ecom.search.domain import Change, latest

STALE_AFTER = timedelta(seconds=30)
"""A rebuild that has not been heard of for so long is dead."""
COMMIT_MARGIN = timedelta(minutes=1)
"""An event that is older than this was committed before the rebuild began, so every page knows of it."""
READERS_LATE = timedelta(seconds=2)
"""So long after a swap a reader may still look at the slot that served before."""
TAKEN_AT_ONCE = 2_000

READ_STATE = Sql("""
    SELECT live, building, run_id, started_at, beat_at, completed_at, pages, fetched, indexed, purged, error
      FROM index_state
""")
LOCK_STATE = Sql("""
    SELECT live, building, run_id, started_at, beat_at, completed_at, pages, fetched, indexed, purged, error
      FROM index_state
       FOR UPDATE
""")
EMPTY_SLOT = Sql("SELECT empty_slot($1)")
BEGIN = Sql("""
    UPDATE index_state
       SET building = $1, run_id = $2, started_at = $3, beat_at = $3, pages = 0, fetched = 0, indexed = 0, purged = 0,
           error = NULL
""")
# As a writer holds it: the run stays the one until this transaction ends.
HOLD_RUN = Sql("SELECT building FROM index_state WHERE run_id = $1 AND building IS NOT NULL FOR KEY SHARE")
PROGRESS = Sql("""
    UPDATE index_state
       SET beat_at = $2, pages = pages + $3, fetched = fetched + $4, indexed = indexed + $5
     WHERE run_id = $1 AND building IS NOT NULL
""")
BEAT = Sql("UPDATE index_state SET beat_at = $2 WHERE run_id = $1 AND building IS NOT NULL")
# Tombstones, or everything, of the slot that serves, for products of which the new one knows nothing or less. What a
# page said (with a version, or at $6) was said after all of it: only a higher version knows better.
TAKE_OVER = Sql("""
    WITH portion AS MATERIALIZED (
        SELECT * FROM document WHERE slot = $1 AND product_id > $3 AND (deleted OR $4) ORDER BY product_id LIMIT $5
    ), taken AS (
        INSERT INTO document AS d
               (slot, product_id, name, folded, category, brand, price, active, hit, words, place, deleted,
                version, occurred_at)
        SELECT $2, product_id, name, folded, category, brand, price, active, hit, words, place, deleted, version,
               occurred_at
          FROM portion
         ORDER BY product_id
        ON CONFLICT (slot, product_id) DO UPDATE
           SET name = excluded.name, folded = excluded.folded, category = excluded.category,
               brand = excluded.brand, price = excluded.price, active = excluded.active, hit = excluded.hit,
               words = excluded.words, place = excluded.place, deleted = excluded.deleted, version = excluded.version,
               occurred_at = excluded.occurred_at
         WHERE CASE WHEN d.version IS NOT NULL THEN excluded.version > d.version
                    ELSE d.occurred_at <> $6 AND excluded.occurred_at > d.occurred_at END
    )
    SELECT max(product_id) FROM portion
""")
TAKE_OVER_WORDS = Sql("""
    INSERT INTO word (slot, word, stem, in_name, anywhere)
    SELECT $2, word, stem, 0, 0 FROM word WHERE slot = $1 ORDER BY word
    ON CONFLICT (slot, word) DO NOTHING
""")
COUNT_PURGED = Sql("""
    SELECT count(*)
      FROM document AS old
     WHERE old.slot = $1 AND NOT old.deleted
       AND NOT EXISTS (SELECT FROM document AS new
                        WHERE new.slot = $2 AND new.product_id = old.product_id AND NOT new.deleted)
""")
SWAP = Sql("""
    UPDATE index_state
       SET live = building, building = NULL, completed_at = $2, beat_at = $2, purged = $3
     WHERE run_id = $1 AND building IS NOT NULL
""")
ABANDON = Sql("UPDATE index_state SET building = NULL, error = $2 WHERE run_id = $1 AND building IS NOT NULL")
CLEAR_STALE = Sql("UPDATE index_state SET building = NULL, error = $2 WHERE building IS NOT NULL AND beat_at < $1")


class RebuildRuns(DovecoteError):
    """Another rebuild is under way."""


class RebuildLost(DovecoteError):
    """This rebuild was taken for dead; what it made is another's now."""


@dataclass(frozen=True, slots=True)
class Run:
    """A rebuild under way, which no other may disturb as long as it is heard of."""

    id: UUID
    live: str
    building: str
    started_at: datetime

    @property
    def unversioned_at(self) -> datetime:
        """When a product without a version counts as changed: after all that its page knows, before all else."""
        return self.started_at - COMMIT_MARGIN


@dataclass(frozen=True, slots=True)
class Progress:
    """The rebuild that is under way, or was the last."""

    live: str
    building: str | None
    run_id: UUID | None
    started_at: datetime | None
    beat_at: datetime | None
    completed_at: datetime | None
    pages: int
    fetched: int
    indexed: int
    purged: int
    error: str | None

    def is_alive(self, now: datetime) -> bool:
        """Whether one is under way that was heard of lately."""
        return self.building is not None and self.beat_at is not None and now - self.beat_at < STALE_AFTER


async def read(database: Database) -> Progress:
    """How far it is."""
    return _progress(await database.fetchrow(READ_STATE))


async def begin(database: Database) -> Run:
    """Empty the slot that does not serve; from the commit on, writers write there as well.

    Raises RebuildRuns where a rebuild is under way; one that is not heard of any more is taken over.
    """
    while True:
        async with database.transaction("work") as tx:
            known = _progress(await tx.fetchrow(LOCK_STATE))
            if known.is_alive(tx.now):
                raise RebuildRuns(f"A rebuild is under way since {known.started_at:%Y-%m-%dT%H:%M:%SZ}.")
            swapped_at = known.completed_at
            if swapped_at is None or tx.now - swapped_at >= READERS_LATE:
                run = Run(tx.new_id(), known.live, "b" if known.live == "a" else "a", tx.now)
                await tx.execute(EMPTY_SLOT, run.building)
                await tx.execute(BEGIN, run.building, run.id, run.started_at)
                return run
            rest = swapped_at + READERS_LATE - tx.now
        await asyncio.sleep(rest.total_seconds())


async def fill(database: Database, run: Run, changes: Sequence[Change], *, pages: int, fetched: int) -> None:
    """Write what pages said into the new slot, each product where nothing later is known. Raises RebuildLost."""
    async with database.transaction("work") as tx:
        await _hold(tx, run)
        [indexed] = await store.put(tx, [run.building], latest(changes))
        await tx.execute(PROGRESS, run.id, tx.now, pages, fetched, indexed)


async def beat(database: Database, run: Run) -> None:
    """Be heard of."""
    async with database.transaction("work") as tx:
        await tx.execute(BEAT, run.id, tx.now)


async def take_over(database: Database, run: Run, *, everything: bool) -> None:
    """Take tombstones, or everything, from the slot that serves, where the new one does not know better.

    Tombstones keep late news of dead products out. Raises RebuildLost.
    """
    after: str | None = ""
    while after is not None:
        async with database.transaction("work") as tx:
            await _hold(tx, run)
            given = (run.live, run.building, after, everything, TAKEN_AT_ONCE, run.unversioned_at)
            after = await tx.fetchval(TAKE_OVER, *given)
            await tx.execute(BEAT, run.id, tx.now)
    if everything:
        async with database.transaction("work") as tx:
            await _hold(tx, run)
            await tx.execute(TAKE_OVER_WORDS, run.live, run.building)


async def settle(database: Database, run: Run) -> None:
    """Make the new slot as quick to search as the old one: words counted, lists merged, statistics fresh."""
    async with database.transaction("work") as tx:
        await _hold(tx, run)
        await store.count_words(tx, run.building)
    await store.merge_pending(database)
    await store.analyze(database, run.building)


async def swap(database: Database, run: Run) -> Progress:
    """From the commit on the new slot serves. Raises RebuildLost."""
    # Who writes now writes both slots alike, so the count is as good before the lock as behind it.
    purged = await database.fetchval(COUNT_PURGED, run.live, run.building)
    async with database.transaction("work") as tx:
        await tx.fetchrow(LOCK_STATE)
        if not await tx.execute(SWAP, run.id, tx.now, purged):
            raise _lost()
        return _progress(await tx.fetchrow(READ_STATE))


async def abandon(database: Database, run: Run, why: str) -> None:
    """The old slot goes on serving; the new one is left as it is until somebody empties it."""
    async with database.transaction("work") as tx:
        await tx.execute(ABANDON, run.id, why[:1000])


async def clear_stale(database: Database) -> bool:
    """Spare writers the double work for a rebuild whose process died; says whether there was one."""
    async with database.transaction("work") as tx:
        return bool(await tx.execute(CLEAR_STALE, tx.now - STALE_AFTER, "Its process ended in the middle of it."))


async def _hold(tx: Transaction, run: Run) -> None:
    if await tx.fetchval(HOLD_RUN, run.id) is None:
        raise _lost()


def _lost() -> RebuildLost:
    return RebuildLost("This rebuild was not heard of for too long and has ended; what serves has not changed.")


def _progress(row: Record | None) -> Progress:
    if row is None:
        raise LookupError("index_state has lost its one row")
    return Progress(**row)
