"""What payment does by the clock: look up open questions at the provider, and delete old memories."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from dovecote.events import Cause
from dovecote.schedule import Job, JobContext
from ecom.payment import course, store, telemetry
from ecom.payment.answers import fact_of, known_from
from ecom.payment.course import Message
from ecom.payment.domain import Mode, News, Payment, Rules
from ecom.payment.stages import IN_HAND, Fact
from ecom.payment.switch import Switch
from ecom.provider.interface import Found, PaymentProvider

RECONCILE_EVERY = timedelta(seconds=10)
OPEN_FOR = timedelta(seconds=10)
OVERDUE = timedelta(hours=1)
PAGE = 500
# A run ends after so many pages; the next one goes on.
PAGES_MAX = 100
FORGET_BATCH = 1000


def jobs(
    provider: PaymentProvider, switch: Switch, rules: Rules, *, memory: timedelta, cleanup_every: timedelta
) -> Sequence[Job]:
    """The periodic jobs of the service."""

    async def look_up_unknown(context: JobContext) -> None:
        if not await switch.outage():
            await reconcile(context, provider, rules)
        await watch(context)

    async def clean_up(context: JobContext) -> None:
        await forget(context, memory)

    return (
        Job("payment-reconcile", RECONCILE_EVERY, look_up_unknown),
        Job("payment-cleanup", cleanup_every, clean_up),
    )


async def reconcile(context: JobContext, provider: PaymentProvider, rules: Rules) -> None:
    """Look up by our reference what has no answer yet; the workers ask too, but back off ever longer.

    In webhook mode this is also what finds an authorization whose webhook was lost.
    """
    database, after = context.database, ""
    for _ in range(PAGES_MAX):
        page = await store.unsettled(
            database,
            after=after,
            before=database.now - OPEN_FOR,
            with_pending=rules.mode is Mode.WEBHOOK,
            limit=PAGE,
        )
        if not page:
            return
        after = page[-1].order_id
        by_order = {payment.order_id: payment for payment in page}
        messages = []
        async for order_id, found in provider.look_up(list(by_order)):
            messages += _messages(by_order[order_id], found)
        if messages:
            async with database.transaction("work") as tx:
                await course.move(tx, messages, rules)


async def watch(context: JobContext) -> None:
    """Say how long the longest question is open; after an hour, as an error."""
    since = await store.oldest_unknown(context.database)
    age = context.database.now - since if since else timedelta(0)
    telemetry.oldest_unknown(age.total_seconds(), overdue=age > OVERDUE)


async def forget(context: JobContext, memory: timedelta) -> None:
    """Delete webhooks and tombstones that nothing can repeat any more."""
    for _ in range(PAGES_MAX):
        async with context.database.transaction("work") as tx:
            if await store.forget(tx, tx.now - memory, FORGET_BATCH) == 0:
                return


def _messages(payment: Payment, found: Found) -> list[Message]:
    """What a look up tells a payment, if it tells anything new."""
    operation = IN_HAND.get(payment.stage)
    if operation is None:
        return []
    answer = known_from(operation, found, amount_minor=payment.amount_minor, currency=payment.currency)
    if answer is None:
        return []
    fact = fact_of(operation, answer)
    if fact is Fact.UNANSWERED:
        return []
    news = News(fact, reason=answer.reason, provider_payment_id=answer.provider_id)
    return [Message(payment.order_id, news, Cause(payment.trace_id))]
