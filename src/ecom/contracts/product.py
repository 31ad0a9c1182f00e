"""Events that the product service writes."""

from typing import ClassVar

from dovecote.events import Event
from ecom.contracts import Amount, Currency, ProductId, Sku, Version, Word


class ProductUpserted(Event, frozen=True):
    """A product is as said here; without a version a reader guards by the envelope's occurredAt."""

    EVENT: ClassVar[str] = "product.upserted.v1"

    product_id: ProductId
    name: Word
    price: Amount
    description: str | None = None
    category: str | None = None
    brand: str | None = None
    colors: tuple[str, ...] | None = None
    sizes: tuple[str, ...] | None = None
    active: bool | None = None
    version: Version | None = None
    sku: Sku | None = None
    currency: Currency | None = None


class ProductDeleted(Event, frozen=True):
    """A product is gone."""

    EVENT: ClassVar[str] = "product.deleted.v1"

    product_id: ProductId
    version: Version | None = None
