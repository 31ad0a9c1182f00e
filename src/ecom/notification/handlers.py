"""What notification does when it hears of an order: write to whoever placed it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from dovecote.database import Transaction
from dovecote.events import Delivery
from dovecote.handlers import Handlers
from ecom.notification import store
from ecom.notification.domain import (
    Mail,
    News,
    OrderCancelled,
    OrderConfirmed,
    OrderPlaced,
    OrderTimedOut,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentFailed,
    PaymentRefunded,
    Recipient,
    StockFailed,
)
from ecom.notification.letters import Letters
from ecom.notification.store import Waiting, Written


def hears(letters: Letters, *, together: int = 1) -> Handlers:
    """The handlers of the service, with the texts they write and how many mails leave with one intent."""
    handlers = Handlers()

    @handlers.on(OrderPlaced)
    async def write_first(tx: Transaction, orders: Sequence[Delivery[OrderPlaced]]) -> None:
        """Remember whose each order is, thank for it, and write the news that came before it."""
        owners = {order.event.order_id: order.event.recipient() for order in reversed(orders)}
        waited = await store.introduce(tx, owners)
        first = [_about(order, order.event.news()) for order in orders]
        written = [write(letters, each, owners[each.order_id]) for each in [*first, *waited]]
        await store.post(tx, written, together=together)

    async def write_on(tx: Transaction, deliveries: Sequence[Delivery[News]]) -> None:
        """Write to whoever placed the order; where that is not known yet, the news waits for order.created."""
        heard = [_about(each, each.event) for each in deliveries]
        owners = await store.recipients(tx, {each.order_id for each in heard})
        if unknown := {each.order_id for each in heard} - owners.keys():
            owners |= await store.await_recipients(tx, unknown)
        known = [each for each in heard if each.order_id in owners]
        if len(known) < len(heard):
            await store.keep_waiting(tx, [each for each in heard if each.order_id not in owners])
        await store.post(tx, [write(letters, each, owners[each.order_id]) for each in known], together=together)

    handlers.on(OrderConfirmed)(write_on)
    handlers.on(OrderCancelled)(write_on)
    handlers.on(OrderTimedOut)(write_on)
    handlers.on(PaymentAuthorized)(write_on)
    handlers.on(PaymentFailed)(write_on)
    handlers.on(PaymentCaptured)(write_on)
    handlers.on(PaymentRefunded)(write_on)
    handlers.on(StockFailed)(write_on)
    return handlers


def write(letters: Letters, about: Waiting, owner: Recipient) -> Written:
    """The mail about one event."""
    subject, body = letters.write(about.event_type, about.news)
    return Written(
        order_id=about.order_id,
        event_type=about.event_type,
        user_id=owner.user_id,
        source_topic=about.source_topic,
        trace_id=about.trace_id,
        mail=Mail(about.event_id, owner.address, subject, body),
    )


def _about(delivery: Delivery[News] | Delivery[OrderPlaced], news: News) -> Waiting:
    event_id: UUID = delivery.event_id
    return Waiting(event_id, delivery.event_type, news.order_id, delivery.topic, delivery.trace_id, news)
