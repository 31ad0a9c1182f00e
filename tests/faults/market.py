"""Customers of a shop whose processes come and go: they live in the test's own process, and nobody kills them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from dovecote import Cause, Service
from dovecote.ids import new_trace_id
from ecom.datasets import completejourney
from ecom.demo import settling
from ecom.demo.customers import Customers
from ecom.demo.mix import Mix, mix
from ecom.inventory import store
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
    bootstrap: str
    customers: Customers

    async def fill_shelves(self) -> None:
        """Put everything on stock that the orders need, or nearly."""
        async with self.services["inventory"].database.transaction() as tx:
            await store.put_stock(tx, sorted(self.plan.stock.items()), because=Cause(new_trace_id()))

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
    baskets = completejourney.load(home.path / "cache").baskets(orders, seed=1)
    customers = Customers(shop_url, secrets.token_hex(4), CONCURRENCY, PATIENCE_SECONDS)
    async with contextlib.AsyncExitStack() as stack:
        for service in services.values():
            await service.connect()
            stack.push_async_callback(service.stop)
        yield Market(services, mix(baskets, seed=1), bootstrap(kafka), customers)
