"""What inventory does by the clock: unpaid reservations run out, old memories are deleted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from dovecote.events import Cause
from dovecote.schedule import Job, JobContext
from ecom.contracts.inventory import EXPIRED, InventoryReservationFailed
from ecom.inventory import manual_store, store
from ecom.inventory.domain import Status, turn
from ecom.inventory.holds import Fact
from ecom.inventory.store import Terms

# A run ends after so many batches; the next one goes on.
BATCHES_MAX = 100
FORGET_BATCH = 1000


def jobs(terms: Terms, *, scan_every: timedelta, batch_size: int, cleanup_every: timedelta) -> Sequence[Job]:
    """The periodic jobs of the service."""

    async def expire(context: JobContext) -> None:
        await expire_by_hand(context, batch_size)
        await expire_orders(context, terms, batch_size)

    async def forget(context: JobContext) -> None:
        await forget_lapsed(context, terms)

    return (
        Job("reservation-expiry", scan_every, expire),
        Job("inventory-cleanup", cleanup_every, forget),
    )


async def expire_orders(context: JobContext, terms: Terms, batch_size: int) -> None:
    """Give back what nobody paid for in time, and say so.

    Only while nothing waits to be heard: the payment may already have been made and stand in the queue.
    """
    for _ in range(BATCHES_MAX):
        if await context.lag() > 0:
            return
        due = await store.due_holds(context.database, context.database.now, batch_size)
        if not due:
            return
        async with context.database.transaction("work") as tx:
            holds = await store.lock_known_holds(tx, due)
            expired = turn(holds, [(order_id, Fact.OVERDUE) for order_id in holds])
            await store.keep_turn(tx, expired, terms)
            for hold in expired.changed:
                event = InventoryReservationFailed(order_id=hold.order_id, emitted_at=tx.now, reason=EXPIRED)
                tx.publish(event, of=hold.aggregate, because=Cause(hold.trace_id))


async def expire_by_hand(context: JobContext, batch_size: int) -> None:
    """Release reservations made by hand that have run out; no event speaks of them."""
    for _ in range(BATCHES_MAX):
        due = await manual_store.due_by_hand(context.database, context.database.now, batch_size)
        if not due:
            return
        async with context.database.transaction("work") as tx:
            await manual_store.end_reservations(tx, due, Status.RELEASED)


async def forget_lapsed(context: JobContext, terms: Terms) -> None:
    """Delete memories that nothing can refer to any more."""
    for _ in range(BATCHES_MAX):
        async with context.database.transaction("work") as tx:
            forgotten = await store.forget_lapsed(tx, FORGET_BATCH)
            forgotten += await manual_store.forget_released(tx, tx.now - terms.memory_ttl, FORGET_BATCH)
        if forgotten == 0:
            return
