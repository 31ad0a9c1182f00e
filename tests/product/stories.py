"""Verbs for tests of the product service: put, remove, look, and what was said of it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import httpx

from dovecote.database import Database
from dovecote.events import Cause
from dovecote.testing import Bench
from ecom.product import catalogue
from ecom.product.catalogue import Put
from ecom.product.domain import Product
from ecom.product.service import build
from ecom.web.application import application

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
BODY: dict[str, Any] = {"name": "Thin Pizza", "category": "Pizza", "brand": "National", "price": 4.99}


def door(database: Database) -> httpx.AsyncClient:
    """The service's routes as a client of one process sees them."""
    app = application([(build({}), database)], name="product-service")
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://shop")


def product(product_id: str = "p1", **changes: Any) -> Product:
    """A good product, changed."""
    plain: dict[str, Any] = {"name": "Thin Pizza", "category": "Pizza", "brand": "National", "price": Decimal("4.99")}
    return Product(product_id, **(plain | changes))


async def put(database: Database, *products: Product) -> Put:
    """One batch in one transaction."""
    async with database.transaction() as tx:
        return await catalogue.put(tx, products, because=Cause(TRACE))


async def remove(database: Database, *ids: str) -> list[str]:
    """Delete products in one transaction."""
    async with database.transaction() as tx:
        return await catalogue.remove(tx, ids, because=Cause(TRACE))


async def said(database: Database) -> Sequence[tuple[str, str, int]]:
    """What was said, in order: which kind of event, of which product, with which version."""
    published = await Bench(build({}).blueprint, database).published()
    assert all(each.sequence == each.payload["version"] for each in published)
    assert all(each.key == each.payload["productId"] for each in published)
    return [(each.event_type.split(".")[1], each.key, each.sequence) for each in published]
