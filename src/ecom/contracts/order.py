"""Events that the order service writes."""

from decimal import Decimal
from typing import ClassVar

import msgspec

from dovecote.events import Event
from ecom.contracts import Instant


class OrderLine(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One line of an order; the price is of one unit."""

    product_id: str
    sku: str
    quantity: int
    unit_price: Decimal


class OrderCreated(Event, frozen=True):
    """An order was placed and waits for payment and stock."""

    EVENT: ClassVar[str] = "order.created.v1"

    order_id: str
    user_id: int
    currency: str
    status: str
    items: tuple[OrderLine, ...]
    created_at: Instant
    total_amount: Decimal | None = None
    email: str | None = None
    payment_method: str | None = None


class OrderConfirmed(Event, frozen=True):
    """Payment is authorized and stock is held: the order stands."""

    EVENT: ClassVar[str] = "order.confirmed.v1"

    order_id: str
    user_id: int
    confirmed_at: Instant


class OrderCancelled(Event, frozen=True):
    """The order ended without a sale: give back money and stock."""

    EVENT: ClassVar[str] = "order.cancelled.v1"

    order_id: str
    user_id: int
    reason: str
    cancelled_at: Instant


class OrderTimedOut(Event, frozen=True):
    """The order was still unanswered at its deadline: give back money and stock."""

    EVENT: ClassVar[str] = "order.timed-out.v1"

    order_id: str
    user_id: int
    status: str
    timed_out_at: Instant
