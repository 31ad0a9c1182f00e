"""What search does by the clock: merge what is pending, count the vocabulary, forget old tombstones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from dovecote.schedule import Job, JobContext
from ecom.search import store

MERGE_EVERY = timedelta(seconds=2)
COUNT_EVERY = timedelta(seconds=5)
# Changes, as a share of the documents, after which the counts would choose plans badly.
BUSY_SHARE = 0.5
QUIET_SHARE = 0.02
# A run ends after so many batches; the next one goes on.
BATCHES_MAX = 100
FORGET_BATCH = 1000


def jobs(*, cleanup_every: timedelta, tombstone_ttl: timedelta) -> Sequence[Job]:
    """The periodic jobs of the service."""

    async def forget(context: JobContext) -> None:
        await forget_tombstones(context, tombstone_ttl)

    return (
        Job("search-merge", MERGE_EVERY, merge),
        Job("search-count", COUNT_EVERY, Counting()),
        Job("search-cleanup", cleanup_every, forget),
    )


async def merge(context: JobContext) -> None:
    """Keep the list of pending lexemes short: every search reads it."""
    await store.merge_pending(context.database)


class Counting:
    """Counts the vocabulary anew, and lets the planner see, once enough has changed.

    In the midst of an import that is whenever the catalogue has grown by half, so that counting costs a share of the
    import; what is left is counted when the writing has ended.
    """

    def __init__(self) -> None:
        self._seen = -1

    async def __call__(self, context: JobContext) -> None:
        """Look, and count if it is time."""
        writes = await store.read_writes(context.database)
        is_quiet = writes.now == self._seen
        self._seen = writes.now
        if writes.since > writes.documents * (QUIET_SHARE if is_quiet else BUSY_SHARE):
            change = await store.settled_change(context.database)
            async with context.database.transaction("work") as tx:
                await store.count_words(tx, writes.live, writes.now, change=change)
            await store.analyze(context.database, writes.live)


async def forget_tombstones(context: JobContext, ttl: timedelta) -> None:
    """Forget who died so long ago that no late news of them can come.

    Only while nothing waits to be heard: a death of long ago may just have been heard of, and older news be under way.
    """
    for _ in range(BATCHES_MAX):
        if await context.lag() > 0:
            return
        async with context.database.transaction("work") as tx:
            if await store.forget_tombstones(tx, tx.now - ttl, FORGET_BATCH) == 0:
                return
