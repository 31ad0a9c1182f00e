"""What the order service does by the clock: time out orders, forget what is past its time, measure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prometheus_client import Gauge

from dovecote import outbox
from dovecote.schedule import Job, JobContext
from ecom.order import saga, store

SWEEPS_MAX = 20
FORGET_MAX = 1000
KEYS_KEPT = timedelta(days=7)
DAWN = datetime(2000, 1, 1, tzinfo=UTC)
# Longer than a placing can be under way before it is seen.
COMMITTED_WITHIN = timedelta(seconds=15)

OUTBOX_FAILED = Gauge("order_outbox_failed_records", "Outbox records of the order service that are FAILED.")
OLDEST_PENDING = Gauge("order_oldest_pending_seconds", "Age of the oldest order without a verdict.")


def jobs(*, facts_kept: timedelta, forget_every: timedelta) -> list[Job]:
    """The periodic jobs; facts about foreign orders are kept as long as the inbox keeps their events."""
    gauges = Gauges()

    async def forget(context: JobContext) -> None:
        forgotten = FORGET_MAX
        while forgotten >= FORGET_MAX:
            async with context.database.transaction("work") as tx:
                forgotten = await store.forget(tx, keys_after=KEYS_KEPT, facts_after=facts_kept, limit=FORGET_MAX)

    return [
        Job("saga-timeouts", timedelta(seconds=1), time_out),
        Job("order-metrics", timedelta(seconds=15), gauges.measure),
        Job("order-forget", forget_every, forget),
    ]


async def time_out(context: JobContext) -> None:
    """End every overdue order, a transaction for each few hundred."""
    for _ in range(SWEEPS_MAX):
        if await saga.time_out_overdue(context.database) < saga.SWEEP_MAX:
            return


class Gauges:
    """Sets the gauges that a query must answer.

    Whoever was the oldest order without a verdict, none before it becomes one: the next look begins there. From the
    beginning of time it would walk, beside a transaction that stays open, all orders that ever waited.
    """

    def __init__(self) -> None:
        self._since = DAWN

    async def measure(self, context: JobContext) -> None:
        """Ask and set."""
        database = context.database
        OUTBOX_FAILED.set((await outbox.unsent(database)).get("FAILED", 0))
        oldest = await store.oldest_pending(database, self._since)
        placed_at, deadline = oldest or (database.now, database.now)
        OLDEST_PENDING.set((database.now - placed_at).total_seconds())
        self._since = deadline - COMMITTED_WITHIN
