"""What payment does when it hears of an order: ask for its money, take it, or let it go. Each reads like a
sentence.
"""

from __future__ import annotations

from collections.abc import Sequence

from dovecote.database import Transaction
from dovecote.events import Delivery
from dovecote.handlers import Handlers
from ecom.payment import course
from ecom.payment.course import Message
from ecom.payment.domain import News, Rules, Terms
from ecom.payment.hearing import (
    OrderCancelled,
    OrderConfirmed,
    OrderPlaced,
    OrderTimedOut,
    StockRefused,
    terms_of,
)
from ecom.payment.stages import Fact, Outcome

Ending = OrderCancelled | OrderTimedOut | StockRefused


def hears(rules: Rules) -> Handlers:
    """The handlers of the service (OrderCreatedConsumer is the first)."""
    handlers = Handlers()

    @handlers.on(OrderPlaced)
    async def authorize(tx: Transaction, orders: Sequence[Delivery[OrderPlaced]]) -> None:
        """An order that is not over has its amount authorized, once; the first word about the amount stands."""
        payable: list[tuple[Delivery[OrderPlaced], Terms]] = []
        for order in orders:
            try:
                payable.append((order, terms_of(order.event)))
            except ValueError as error:
                tx.park(order, f"The amount of this order cannot be charged: {error}.")
        placed = [
            Message(order.event.order_id, News(Fact.ORDERED, terms=terms), order, opens=True)
            for order, terms in payable
        ]
        decisions = await course.move(tx, placed, rules)
        for (order, _), decision in zip(payable, decisions, strict=True):
            if decision is not None and decision.outcome is Outcome.CONTRADICTED:
                tx.park(order, "This order was placed before with another amount or currency; that one stands.")

    @handlers.on(OrderConfirmed)
    async def capture(tx: Transaction, orders: Sequence[Delivery[OrderConfirmed]]) -> None:
        """A confirmed order's amount is taken, unless something has ended it meanwhile."""
        confirmed = [Message(order.event.order_id, News(Fact.CONFIRMED), order) for order in orders]
        decisions = await course.move(tx, confirmed, rules)
        for order, decision in zip(orders, decisions, strict=True):
            if decision is None or decision.outcome is Outcome.IMPOSSIBLE:
                tx.park(order, "This order is confirmed, but its payment was never authorized here.")

    async def let_go(tx: Transaction, endings: Sequence[Delivery[Ending]]) -> None:
        """An order that is over costs nothing: void or refund; one that ends before it begins is never
        charged.
        """
        ended = [
            Message(ending.event.order_id, News(Fact.ENDED, reason=ending.event.why), ending, opens=True)
            for ending in endings
        ]
        await course.move(tx, ended, rules)

    handlers.on(OrderCancelled)(let_go)
    handlers.on(OrderTimedOut)(let_go)
    handlers.on(StockRefused)(let_go)
    return handlers
