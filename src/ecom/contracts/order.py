"""Events that the order service writes."""

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from dovecote.events import Event
from ecom.contracts import (
    Amount,
    Currency,
    Email,
    Instant,
    OrderId,
    PaymentMethod,
    ProductId,
    Quantity,
    Sku,
    UserId,
    Word,
)


class OrderLine(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One line of an order; the price is of one unit."""

    product_id: ProductId
    sku: Sku
    quantity: Quantity
    unit_price: Amount


class OrderCreated(Event, frozen=True):
    """An order was placed and waits for payment and stock."""

    EVENT: ClassVar[str] = "order.created.v1"

    order_id: OrderId
    user_id: UserId
    currency: Currency
    status: Word
    items: Annotated[tuple[OrderLine, ...], Meta(min_length=1)]
    created_at: Instant
    total_amount: Amount | None = None
    email: Email | None = None
    payment_method: PaymentMethod | None = None


class OrderConfirmed(Event, frozen=True):
    """Payment is authorized and stock is held: the order stands."""

    EVENT: ClassVar[str] = "order.confirmed.v1"

    order_id: OrderId
    user_id: UserId
    confirmed_at: Instant


class OrderCancelled(Event, frozen=True):
    """The order ended without a sale: give back money and stock."""

    EVENT: ClassVar[str] = "order.cancelled.v1"

    order_id: OrderId
    user_id: UserId
    reason: Word
    cancelled_at: Instant


class OrderTimedOut(Event, frozen=True):
    """The order was still unanswered at its deadline: give back money and stock."""

    EVENT: ClassVar[str] = "order.timed-out.v1"

    order_id: OrderId
    user_id: UserId
    status: Word
    timed_out_at: Instant
