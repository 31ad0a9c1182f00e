"""What notification does by the clock: failed mails are tried again, news that waited too long goes out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from dovecote.schedule import Job, JobContext
from ecom.notification import mail_store, store
from ecom.notification.domain import Recipient
from ecom.notification.handlers import write
from ecom.notification.letters import Letters

# A run ends after so many batches; the next one goes on.
BATCHES_MAX = 100
BATCH = 500


def jobs(letters: Letters, *, waiting_max: timedelta, memory: timedelta, cleanup_every: timedelta) -> Sequence[Job]:
    """The periodic jobs of the service."""

    async def wait_no_longer(context: JobContext) -> None:
        await send_overdue(context, letters, waiting_max)

    async def forget(context: JobContext) -> None:
        await forget_awaited(context, memory)

    return (
        Job("notification-retry", timedelta(seconds=1), retry_due),
        Job("notification-waiting", min(waiting_max, timedelta(minutes=1)), wait_no_longer),
        Job("notification-cleanup", cleanup_every, forget),
    )


async def retry_due(context: JobContext) -> None:
    """Send failed mails whose time has come once more."""
    for _ in range(BATCHES_MAX):
        async with context.database.transaction("work") as tx:
            if await mail_store.try_again(tx, due=tx.now, limit=BATCH) < BATCH:
                return


async def send_overdue(context: JobContext, letters: Letters, waiting_max: timedelta) -> None:
    """Write news whose order.created does not come to the address that every user has.

    Only while nothing waits to be heard, and only news that says itself whose order it is.
    """
    for _ in range(BATCHES_MAX):
        before = context.database.now - waiting_max
        order_ids = await store.overdue_orders(context.database, before, BATCH)
        if not order_ids or await context.lag() > 0:
            return
        async with context.database.transaction("work") as tx:
            overdue = await store.take_overdue(tx, order_ids, before)
            owners = [Recipient(each.news.user_id, None) for each in overdue if each.news.user_id is not None]
            pairs = zip(overdue, owners, strict=True)
            await store.post(tx, [write(letters, each, owner) for each, owner in pairs], together=1)


async def forget_awaited(context: JobContext, memory: timedelta) -> None:
    """Delete news of orders that can no longer come."""
    for _ in range(BATCHES_MAX):
        async with context.database.transaction("work") as tx:
            if await store.forget_awaited(tx, tx.now - memory, BATCH) == 0:
                return
