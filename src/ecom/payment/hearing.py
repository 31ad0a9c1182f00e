"""What payment reads of the events it hears: narrower than their writers' Structs, so that foreign ones fit
too.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from dovecote.events import Event
from ecom.contracts import AmountText, Currency, OrderId, PaymentMethod, Quantity, UserId, Word
from ecom.contracts.money import total_of
from ecom.payment.domain import Terms
from ecom.payment.money import MINOR_MAX, minor_units


class PricedLine(msgspec.Struct, frozen=True, rename="camel"):
    """One line of an order, as far as its price is concerned."""

    quantity: Quantity
    unit_price: AmountText


class OrderPlaced(Event, frozen=True):
    """What payment reads of a new order; the lines matter only where no total is given."""

    EVENT: ClassVar[str] = "order.created.v1"

    order_id: OrderId
    user_id: UserId
    currency: Currency
    items: Annotated[tuple[PricedLine, ...], Meta(min_length=1)] = ()
    total_amount: AmountText | None = None
    payment_method: PaymentMethod | None = None


class OrderConfirmed(Event, frozen=True):
    """The order stands."""

    EVENT: ClassVar[str] = "order.confirmed.v1"

    order_id: OrderId


class OrderCancelled(Event, frozen=True):
    """The order ended without a sale."""

    EVENT: ClassVar[str] = "order.cancelled.v1"

    order_id: OrderId
    reason: Word | None = None

    @property
    def why(self) -> str:
        """What the payment keeps as its reason."""
        return self.reason or "ORDER_CANCELLED"


class OrderTimedOut(Event, frozen=True):
    """The order was still unanswered at its deadline."""

    EVENT: ClassVar[str] = "order.timed-out.v1"

    order_id: OrderId

    @property
    def why(self) -> str:
        """What the payment keeps as its reason."""
        return "ORDER_TIMED_OUT"


class StockRefused(Event, frozen=True):
    """The order holds no stock, or holds it no longer."""

    EVENT: ClassVar[str] = "inventory.reservation.failed.v1"

    order_id: OrderId
    reason: str | None = None

    @property
    def why(self) -> str:
        """What the payment keeps as its reason."""
        return self.reason or "OUT_OF_STOCK"


def terms_of(order: OrderPlaced) -> Terms:
    """What the order is to pay. Raises ValueError where that is no amount."""
    currency = order.currency.upper()
    if order.total_amount is not None:
        total = Decimal(order.total_amount)
    elif order.items:
        prices = [Decimal(line.unit_price) for line in order.items]
        if max(prices) > MINOR_MAX:
            raise ValueError("a price is beyond any amount")
        total = total_of((price, line.quantity) for price, line in zip(prices, order.items, strict=True))
    else:
        raise ValueError("it has neither a total nor lines")
    return Terms(order.user_id, minor_units(total, currency), currency, order.payment_method)
