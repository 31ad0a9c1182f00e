"""What inventory does when it hears of an order: hold, confirm, give back. Each reads like a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dovecote.database import Transaction
from dovecote.events import Delivery
from dovecote.handlers import Handlers
from ecom.contracts.inventory import InventoryReservationFailed, InventoryReserved
from ecom.inventory import store
from ecom.inventory.domain import (
    OrderCancelled,
    OrderLines,
    OrderPaid,
    OrderTimedOut,
    OrderUnpaid,
    Verdict,
    allocate,
    awaits_order,
    turn,
)
from ecom.inventory.holds import Fact
from ecom.inventory.store import Terms

Ending = OrderUnpaid | OrderCancelled | OrderTimedOut


def hears(terms: Terms) -> Handlers:
    """The handlers of the service, with how long things last."""
    handlers = Handlers()

    @handlers.on(OrderLines)
    async def reserve_stock(tx: Transaction, orders: Sequence[Delivery[OrderLines]]) -> None:
        """Hold every line of each order, or none of its lines and say which SKU ran out."""
        holds = await store.lock_holds(tx, _by_order(orders), terms.reservation_ttl)
        fresh = [order for order in orders if awaits_order(holds[order.event.order_id])]
        stock = await store.lock_stock(tx, [line.sku for order in fresh for line in order.event.items])
        available = {sku: each.available for sku, each in stock.items()}
        verdicts = allocate([order.event for order in fresh], holds, available)
        said = [pair for pair in zip(fresh, verdicts, strict=True) if pair[1] is not None]
        await store.keep_verdicts(tx, [verdict for _, verdict in said if verdict], stock, terms)
        for order, verdict in said:
            if verdict is not None:
                _say(tx, verdict, order)

    @handlers.on(OrderPaid)
    async def confirm_stock(tx: Transaction, payments: Sequence[Delivery[OrderPaid]]) -> None:
        """What is paid for is held for good; a payment that overtook its order is remembered."""
        holds = await store.lock_holds(tx, _by_order(payments), terms.memory_ttl)
        facts = [(payment.event.order_id, Fact.AUTHORIZED) for payment in payments]
        await store.keep_turn(tx, turn(holds, facts), terms)

    async def give_back(tx: Transaction, endings: Sequence[Delivery[Ending]]) -> None:
        """An order that is over holds nothing; one that ends before it begins will never begin."""
        holds = await store.lock_holds(tx, _by_order(endings), terms.memory_ttl)
        facts = [(ending.event.order_id, ending.event.fact) for ending in endings]
        await store.keep_turn(tx, turn(holds, facts), terms)

    handlers.on(OrderUnpaid)(give_back)
    handlers.on(OrderCancelled)(give_back)
    handlers.on(OrderTimedOut)(give_back)
    return handlers


def _by_order(deliveries: Sequence[Delivery[OrderLines | OrderPaid | Ending]]) -> Mapping[str, Delivery[Any]]:
    """The first delivery about each order."""
    return {delivery.event.order_id: delivery for delivery in reversed(deliveries)}


def _say(tx: Transaction, verdict: Verdict, order: Delivery[OrderLines]) -> None:
    order_id = verdict.hold.order_id
    event = (
        InventoryReserved(order_id=order_id, emitted_at=tx.now)
        if verdict.shortage is None
        else InventoryReservationFailed(order_id=order_id, emitted_at=tx.now, reason=verdict.shortage)
    )
    tx.publish(event, of=verdict.hold.aggregate, because=order)
