"""Operators' hands on the index over HTTP: products put in and taken out, guarded as the events are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import msgspec
from litestar import delete, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from dovecote.database import Database
from ecom.contracts import Version
from ecom.contracts.money import exact
from ecom.search.domain import PRODUCT_ID_MAX, Change, Deleted, Upserted, deleted, upserted
from ecom.search.index import Index
from ecom.web.problems import Problem

BULK_MAX = 10_000
IndexedId = Annotated[str, Meta(min_length=1, max_length=PRODUCT_ID_MAX)]


class Product(msgspec.Struct, frozen=True, rename="camel"):
    """A product as an operator puts it into the index; the product service calls its id ``id``."""

    name: str
    price: Decimal
    product_id: IndexedId | None = None
    id: IndexedId | None = None
    description: str | None = None
    category: str | None = None
    brand: str | None = None
    colors: tuple[str, ...] | None = None
    sizes: tuple[str, ...] | None = None
    active: bool | None = None
    version: Version | None = None

    def event(self, place: str) -> Upserted:
        """The same as the event would say it. Raises Problem where the product has no id."""
        product_id = self.product_id or self.id
        if product_id is None:
            raise Problem(400, "VALIDATION_FAILED", "productId: is required.", field=f"{place}productId")
        return Upserted(
            product_id=product_id,
            name=self.name,
            price=str(self.price),
            description=self.description,
            category=self.category,
            brand=self.brand,
            colors=self.colors,
            sizes=self.sizes,
            active=self.active,
            version=self.version,
        )


class Indexed(msgspec.Struct, frozen=True):
    """How many of the products given are found from now on as given; of the others, later news is known."""

    indexed: int


def routes(database: Database, *, index: Index) -> list[HTTPRouteHandler]:
    """The calls of operators."""

    async def put(products: Sequence[Product], prefix: str = "[{}].") -> Indexed:
        events = [each.event(prefix.format(number)) for number, each in enumerate(products)]
        async with database.transaction() as tx:
            return Indexed(await index.apply(tx, [_upserted(event, tx.now) for event in events]))

    @post("/api/search/index/products", status_code=200)
    async def put_product(data: JSONBody[Product]) -> Indexed:
        return await put([data], "")

    @post("/api/search/index/products/bulk", status_code=200)
    async def put_products(
        data: JSONBody[Annotated[list[Product], Meta(max_length=BULK_MAX)]],
    ) -> Indexed:
        return await put(data)

    @delete("/api/search/index/products/{product_id:str}")
    async def remove_product(product_id: FromPath[str]) -> None:
        if len(product_id) > PRODUCT_ID_MAX or "\0" in product_id:
            raise Problem(400, "VALIDATION_FAILED", "productId: is no product's id.", field="productId")
        async with database.transaction() as tx:
            await index.apply(tx, [deleted(Deleted(product_id=product_id), tx.now)])

    return [put_product, put_products, remove_product]


def _upserted(event: Upserted, now: datetime) -> Change:
    price = exact(event.price)
    if price.is_finite() and price < 0:
        raise Problem(400, "VALIDATION_FAILED", "price: must be 0 or more.", field="price")
    try:
        return upserted(event, now)
    except ValueError as error:
        raise Problem(400, "VALIDATION_FAILED", str(error), field="price") from error
