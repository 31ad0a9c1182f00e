"""Events that the inventory service writes."""

from typing import ClassVar

from dovecote.events import Event
from ecom.contracts import Instant, OrderId

OUT_OF_STOCK = "OUT_OF_STOCK"
"""Reason of a reservation that never was: at least one line could not be held."""

EXPIRED = "EXPIRED"
"""Reason of a reservation that was held and ran past its time to live."""


class InventoryReserved(Event, frozen=True):
    """Every line of the order is held."""

    EVENT: ClassVar[str] = "inventory.reserved.v1"

    order_id: OrderId
    emitted_at: Instant


class InventoryReservationFailed(Event, frozen=True):
    """The order holds no stock: it ran out, or its reservation expired."""

    EVENT: ClassVar[str] = "inventory.reservation.failed.v1"

    order_id: OrderId
    emitted_at: Instant
    reason: str | None = None
