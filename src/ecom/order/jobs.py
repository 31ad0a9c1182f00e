"""What the order service does by the clock: time out orders, forget what is past its time, measure."""

from __future__ import annotations

from datetime import timedelta

from prometheus_client import Gauge

from dovecote import outbox
from dovecote.schedule import Job, JobContext
from ecom.order import saga, store

SWEEPS_MAX = 20
FORGET_MAX = 1000
KEYS_KEPT = timedelta(days=7)

OUTBOX_FAILED = Gauge("order_outbox_failed_records", "Outbox records of the order service that are FAILED.")
OLDEST_PENDING = Gauge("order_oldest_pending_seconds", "Age of the oldest order without a verdict.")


def jobs(*, facts_kept: timedelta, forget_every: timedelta) -> list[Job]:
    """The periodic jobs; facts about foreign orders are kept as long as the inbox keeps their events."""

    async def forget(context: JobContext) -> None:
        forgotten = FORGET_MAX
        while forgotten >= FORGET_MAX:
            async with context.database.transaction("work") as tx:
                forgotten = await store.forget(tx, keys_after=KEYS_KEPT, facts_after=facts_kept, limit=FORGET_MAX)

    return [
        Job("saga-timeouts", timedelta(seconds=1), time_out),
        Job("order-metrics", timedelta(seconds=15), measure),
        Job("order-forget", forget_every, forget),
    ]


async def time_out(context: JobContext) -> None:
    """End every overdue order, a transaction for each few hundred."""
    for _ in range(SWEEPS_MAX):
        if await saga.time_out_overdue(context.database) < saga.SWEEP_MAX:
            return


async def measure(context: JobContext) -> None:
    """Set the gauges that a query must answer."""
    OUTBOX_FAILED.set((await outbox.unsent(context.database)).get("FAILED", 0))
    oldest = await store.oldest_pending(context.database)
    OLDEST_PENDING.set((context.database.now - oldest).total_seconds() if oldest else 0)
