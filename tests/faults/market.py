"""Customers of a shop whose processes come and go: they live in the test's own process, and nobody kills them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from dovecote import Service
from ecom.catalogue.importing import Importer
from ecom.datasets import articles, completejourney
from ecom.datasets.articles import Articles
from ecom.demo import settling
from ecom.demo.customers import Customers
from ecom.demo.mix import PLENTY, Mix, mix
from ecom.demo.supply import put_stock
from ecom.local import Home
from ecom.local.kafka import bootstrap
from ecom.local.postgres import url
from ecom.shop import Shop

CONCURRENCY = 12
OPEN_MIN = 32
# Longer than any story keeps a service away.
PATIENCE_SECONDS = 180.0


@dataclass
class Market:
    """A shop's services as a reader sees them, and what its customers want."""

    services: Mapping[str, Service]
    plan: Mix
    products: Articles
    bootstrap: str
    customers: Customers

    async def fill(self) -> None:
        """Put everything into the catalogue and on stock that the orders need, or nearly; order and search know it."""
        product, inventory = self.services["product"], self.services["inventory"]
        assert [done async for done in Importer(product.database, inventory.database, PLENTY).run(self.products)]
        readers = [self.services["order"], self.services["search"]]
        assert await settling.until_heard(product, readers, bootstrap=self.bootstrap)
        await put_stock(inventory, self.plan.stock)

    async def trade(self) -> None:
        """Place every order, see every one to its end, and wait until nothing is on its way."""
        orders = self.services["order"].database
        door = settling.Door(
            orders, orders=lambda: self.customers.placed, open_min=OPEN_MIN, on_look=lambda _orders, _waiting: None
        )
        watch = asyncio.create_task(door.watch())
        try:
            await self.customers.place_all(self.plan.plans, may_enter=lambda: door.entry, on_placed=lambda: None)
        finally:
            watch.cancel()
        assert await settling.until_final(orders)
        assert await settling.until_quiet(self.services.values(), bootstrap=self.bootstrap)


@contextlib.asynccontextmanager
async def market(home: Home, shop_url: str, *, orders: int) -> AsyncIterator[Market]:
    """Customers for a shop that runs on a home's servers."""
    postgres, kafka = home.record("postgres"), home.record("kafka")
    assert postgres is not None
    assert kafka is not None
    services = await asyncio.to_thread(Shop.all(os.environ).services, url(postgres), bootstrap(kafka))
    cache = home.path / "cache"
    plan = mix(completejourney.load(cache).baskets(orders, seed=1), seed=1)
    products = articles.products(cache).only(plan.stock)
    customers = Customers(shop_url, secrets.token_hex(4), CONCURRENCY, PATIENCE_SECONDS)
    async with contextlib.AsyncExitStack() as stack:
        for service in services.values():
            await service.connect()
            stack.push_async_callback(service.stop)
        yield Market(services, plan, products, bootstrap(kafka), customers)
