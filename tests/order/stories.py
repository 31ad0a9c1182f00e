"""The order service seen from its neighbours: customers place, participants answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import msgspec

from dovecote.database import Database, Record
from dovecote.events import Cause, Delivery, Event
from dovecote.sql import Sql
from ecom.contracts.order import OrderLine
from ecom.order import saga, store
from ecom.order.domain import NewOrder, Order
from ecom.order.handlers import handlers
from ecom.order.prices import ProductGone, ProductPriced

TIMEOUT = timedelta(minutes=15)
OUTBOX = Sql(
    "SELECT event_type, sequence, key, value, trace_id FROM outbox_event_record WHERE aggregate_id = $1 ORDER BY id"
)


class OrderShop:
    """The order service seen from its neighbours: customers place, participants answer."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def place(self, count: int = 1, *, timeout: timedelta = TIMEOUT) -> list[Order]:
        """Place some two-line orders."""
        async with self.database.transaction() as tx:
            return await saga.place(tx, [new_order() for _ in range(count)], payment_timeout=timeout)

    async def hear(self, *events: Event, lane: str = "consumer") -> dict[Any, str]:
        """Hand events of one type to the service's handler in one batch; returns what it parked."""
        deliveries = [delivery(event) for event in events]
        async with self.database.transaction(lane) as tx:
            await handlers.routes[events[0].EVENT].handle(tx, deliveries)
            return dict(tx.parked)

    async def sell(self, *products: ProductPriced | ProductGone) -> None:
        """Hear news of products, one after the other."""
        for product in products:
            assert await self.hear(product) == {}

    async def order(self, order_id: str) -> Order:
        """The order as a customer sees it now."""
        return (await store.read(self.database, [order_id]))[order_id]

    async def said(self, order_id: str) -> list[tuple[str, int]]:
        """Types and sequences of the events published for an order."""
        return [(row["event_type"], row["sequence"]) for row in await self.outbox(order_id)]

    async def payload(self, order_id: str, number: int) -> dict[str, Any]:
        """The payload of an order's n-th event."""
        envelope: dict[str, Any] = msgspec.json.decode((await self.outbox(order_id))[number - 1]["value"])
        payload: dict[str, Any] = envelope["payload"]
        return payload

    async def outbox(self, order_id: str) -> Sequence[Record]:
        """The outbox rows of an order."""
        return await self.database.fetch(OUTBOX, order_id)


def new_order(*, user_id: int = 7) -> NewOrder:
    """An order of two lines, 19.80 in all."""
    lines = tuple(
        OrderLine(product_id=sku, sku=sku, quantity=quantity, unit_price=Decimal(price))
        for sku, quantity, price in (("A", 2, "7.45"), ("B", 1, "4.90"))
    )
    return NewOrder(user_id, "EUR", lines, Cause("t" * 32), email="buyer@shop.example", payment_method="card")


def product(product_id: str, price: str, version: int | None = None, **said: Any) -> ProductPriced:
    """News of a product."""
    return ProductPriced(product_id=product_id, price=Decimal(price), version=version, **said)


def delivery(event: Event, occurred_at: datetime | None = None) -> Delivery[Any]:
    """An event as it arrives."""
    return Delivery(
        event=event,
        event_id=uuid4(),
        event_type=event.EVENT,
        occurred_at=occurred_at or datetime.now(UTC),
        producer="another-service",
        trace_id="c" * 32,
        topic=event.EVENT,
        partition=0,
        offset=0,
        key="",
        sequence=None,
    )
