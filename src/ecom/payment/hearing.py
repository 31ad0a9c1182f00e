"""What payment reads of the events it hears: narrower than their writers' Structs, so that foreign ones fit
too.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from dovecote.events import Event
from ecom.contracts.money import total_of
from ecom.payment.domain import Terms
from ecom.payment.money import minor_units

OrderId = Annotated[str, Meta(min_length=1, max_length=50)]
UserId = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Currency = Annotated[str, Meta(pattern="^[A-Za-z]{3}$")]
Quantity = Annotated[int, Meta(ge=1, lt=2**31)]


class PricedLine(msgspec.Struct, frozen=True, rename="camel"):
    """One line of an order, as far as its price is concerned."""

    quantity: Quantity
    unit_price: Decimal


class OrderPlaced(Event, frozen=True):
    """What payment reads of a new order; the lines matter only where no total is given."""

    EVENT: ClassVar[str] = "order.created.v1"

    order_id: OrderId
    user_id: UserId
    currency: Currency
    items: tuple[PricedLine, ...] = ()
    total_amount: Decimal | None = None
    payment_method: Annotated[str, Meta(max_length=64)] | None = None


class OrderConfirmed(Event, frozen=True):
    """The order stands."""

    EVENT: ClassVar[str] = "order.confirmed.v1"

    order_id: OrderId


class OrderCancelled(Event, frozen=True):
    """The order ended without a sale."""

    EVENT: ClassVar[str] = "order.cancelled.v1"

    order_id: OrderId
    reason: str | None = None

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
    total = order.total_amount
    if total is None:
        if not order.items:
            raise ValueError("it has neither a total nor lines")
        if any(not line.unit_price.is_finite() for line in order.items):
            raise ValueError("a price is not finite")
        total = total_of((line.unit_price, line.quantity) for line in order.items)
    return Terms(order.user_id, minor_units(total, currency), currency, order.payment_method)
