"""Events that the product service writes."""

from decimal import Decimal
from typing import ClassVar

from dovecote.events import Event


class ProductUpserted(Event, frozen=True):
    """A product is as said here; without a version a reader guards by the envelope's occurredAt."""

    EVENT: ClassVar[str] = "product.upserted.v1"

    product_id: str
    name: str
    price: Decimal
    description: str | None = None
    category: str | None = None
    brand: str | None = None
    colors: tuple[str, ...] | None = None
    sizes: tuple[str, ...] | None = None
    active: bool | None = None
    version: int | None = None
    sku: str | None = None
    currency: str | None = None


class ProductDeleted(Event, frozen=True):
    """A product is gone."""

    EVENT: ClassVar[str] = "product.deleted.v1"

    product_id: str
    version: int | None = None
