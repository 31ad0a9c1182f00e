"""Rebuilds in processes of their own, Kafka between them: killed in the middle, taken over, followed by replicas."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from dovecote.database import Database
from dovecote.events import Cause
from dovecote.service import Service
from dovecote.sql import Sql
from dovecote.testing import eventually
from ecom.local import Servers
from ecom.local.child import Child, start_child
from ecom.product import catalogue
from ecom.running import is_open, run_here
from ecom.search.reindex_store import STALE_AFTER
from ecom.shop import Shop
from tests.search.catalogues import Door, answering
from tests.search.shelves import PATH, product

COUNT = 30
AGE = Sql("UPDATE index_state SET beat_at = beat_at - $1::interval")
STATE = Sql("SELECT live, building FROM index_state")


@dataclass
class Town:
    """The product service here, search in processes: what the tests need of both."""

    shop: Shop
    servers: Servers
    environ: Mapping[str, str]
    products: Database
    search: Service
    url: str
    http: aiohttp.ClientSession
    stack: contextlib.AsyncExitStack

    async def start(self, name: str, products_url: str) -> Child:
        """A search service in a process of its own, which reads products at an address."""
        environ = {**self.environ, "APP_SEARCH_PRODUCTSERVICEBASEURL": products_url}
        argv = ["serve", "search", "--port", "{port}", "--prefix", self.shop.prefix]
        name = f"{self.shop.prefix}{name}"
        child = await start_child(self.servers.home, name, argv, environ=environ, ready=is_open)
        self.stack.push_async_callback(child.stop)
        return child

    async def ids(self, child: Child) -> set[str]:
        """The products that a process finds."""
        params = {"q": "tea", "size": "100"}
        async with self.http.get(f"http://127.0.0.1:{child.port}/api/search/products", params=params) as answer:
            return {each["productId"] for each in (await answer.json())["content"]}

    async def until_found(self, child: Child, wanted: set[str]) -> None:
        """Wait until a process finds these, and no others."""

        async def are_found() -> bool:
            return await self.ids(child) == wanted

        await eventually(are_found, seconds=30, what=f"{sorted(wanted)} are found")

    async def post(self, child: Child, **params: str) -> tuple[int, Any]:
        """Order a rebuild."""
        async with self.http.post(f"http://127.0.0.1:{child.port}{PATH}", params=params) as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def town(embedded: Servers, prefix: str) -> AsyncIterator[Town]:
    """Products that are for sale, and nobody yet who searches."""
    environ = {**os.environ, **embedded.environ}
    own = Shop.of(["product"], environ, prefix=prefix)
    shop = Shop.of(["product", "search"], environ, prefix=prefix)
    await shop.migrate(embedded.database_url)
    await shop.create_topics(embedded.bootstrap)
    services = await asyncio.to_thread(shop.services, embedded.database_url, embedded.bootstrap)
    try:
        async with contextlib.AsyncExitStack() as stack:
            here = await stack.enter_async_context(run_here(own, embedded, address="127.0.0.1", port=0))
            http = await stack.enter_async_context(aiohttp.ClientSession())
            search = services["search"]
            await search.connect()
            stack.push_async_callback(search.stop)
            products = here.services["product"].database
            yield Town(shop, embedded, environ, products, search, here.url, http, stack)
    finally:
        await shop.drop(embedded.database_url, embedded.bootstrap)


async def put(town: Town, *ids: str) -> None:
    """Make products."""
    async with town.products.transaction() as tx:
        await catalogue.put(tx, [product(each) for each in ids], because=Cause("0" * 32))


async def test_a_rebuild_killed_in_the_middle_leaves_the_index_and_the_next_one_succeeds(town: Town) -> None:
    """`kill -9` between two pages: others serve the old index and hear on; a rebuild is ordered anew and swapped in;
    a process that only reads follows within moments.
    """
    ids = {f"p{number:02}" for number in range(COUNT)}
    await put(town, *ids)
    door = Door(town.url, hold=2)
    async with answering(door) as held_url:
        victim = await town.start("victim", held_url)
        other = await town.start("other", town.url)
        await town.until_found(victim, ids)
        ordered = asyncio.create_task(town.post(victim, pageSize="10"))
        await door.held.wait()
        await victim.kill()
        with pytest.raises(aiohttp.ClientError):
            await ordered
        door.open.set()

    # The old index serves in the process that lives, and hears.
    assert await town.ids(other) == ids
    async with town.products.transaction() as tx:
        await catalogue.remove(tx, ["p00"], because=Cause("0" * 32))
    await put(town, "new")
    ids = ids - {"p00"} | {"new"}
    await town.until_found(other, ids)
    row = await town.search.database.fetchrow(STATE)
    assert row is not None
    assert (row["live"], row["building"]) == ("a", "b")

    # As long as the dead one may live, nobody takes its place; then at once.
    assert (await town.post(other))[0] == 409
    reader = await town.start("reader", town.url)
    ghost = {"productId": "ghost", "name": "Tea of nobody", "price": "1"}
    async with town.http.post(f"http://127.0.0.1:{other.port}/api/search/index/products", json=ghost) as answer:
        assert answer.status == 200
    await town.until_found(reader, ids | {"ghost"})
    async with town.search.database.transaction() as tx:
        await tx.execute(AGE, STALE_AFTER * 2)
    status, report = await town.post(other, pageSize="10")
    assert (status, report["purged"], report["productsFetched"]) == (200, 1, COUNT)
    assert await town.ids(other) == ids
    await town.until_found(reader, ids)


async def test_a_shop_behind_one_port_rebuilds_from_itself(embedded: Servers, prefix: str) -> None:
    """Nothing is configured: the search service finds the product service behind its own port."""
    shop = Shop.of(["product", "search"], {**os.environ, **embedded.environ}, prefix=prefix)
    try:
        async with run_here(shop, embedded, address="127.0.0.1", port=0) as here, aiohttp.ClientSession() as http:
            async with here.services["product"].database.transaction() as tx:
                await catalogue.put(tx, [product("p1", price=Decimal(1))], because=Cause("0" * 32))
            async with http.post(f"{here.url}{PATH}") as answer:
                report = await answer.json()
            assert (answer.status, report.get("productsFetched")) == (200, 1), report
    finally:
        await shop.drop(embedded.database_url, embedded.bootstrap)
