"""Rebuilds from the original's product service, which pages by number and whose products and events have no version."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from dovecote import envelope
from ecom.contracts.product import ProductDeleted, ProductUpserted
from ecom.search import reindex_store
from tests.search.catalogues import Door, Original, answering
from tests.search.shelves import Shelves, open_shelves, searching


@pytest.fixture
async def shelves(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shelves]:
    """A search service that hears another's product service."""
    monkeypatch.setattr(reindex_store, "READERS_LATE", reindex_store.READERS_LATE * 0)
    async with open_shelves(database_url) as shelves:
        yield shelves


def listed(product_id: str, name: str) -> dict[str, Any]:
    """A product as the original lists it."""
    return {
        "id": product_id,
        "name": name,
        "category": "c",
        "brand": "b",
        "price": 1.5,
        "updatedAt": "2020-01-01T00:00",
    }


async def hear(shelves: Shelves, event: ProductUpserted | ProductDeleted, at: datetime) -> None:
    """An event of the original's, of some moment."""
    value = envelope.encode(uuid4(), event.EVENT, at, "product-service", "t" * 32, msgspec.json.encode(event))
    await shelves.bench.deliver(shelves.bench.raw(event.EVENT, value))


def upsert(product_id: str, name: str) -> ProductUpserted:
    """What the original says of a product."""
    return ProductUpserted(product_id=product_id, name=name, price=1)  # type: ignore[arg-type]


async def test_everything_that_it_lists_is_found(shelves: Shelves) -> None:
    """All pages are read; what was there before and is not listed is gone."""
    await hear(shelves, upsert("old", "Old"), shelves.search.now - timedelta(days=1))
    original = Original([listed(f"p{number}", f"Name {number}") for number in range(7)])
    async with answering(original) as url, searching(shelves.search, url) as http:
        report = (await http.post("/api/search/reindex/products", params={"pageSize": 3})).json()
    assert (report["purged"], report["pagesProcessed"], report["productsIndexed"]) == (1, 3, 7)
    assert await shelves.names() == {f"p{number}": f"Name {number}" for number in range(7)}


async def test_events_in_mid_rebuild_outlast_pages_read_before_them(shelves: Shelves) -> None:
    """A page is read and held back; events of this moment and of a moment ago are newer, those of an hour ago older."""
    original = Original([listed(f"p{number}", "Listed") for number in range(6)])
    async with answering(original) as behind:
        door = Door(behind, hold=2)  # the first asks for a key, to which the original has no answer
        async with answering(door) as url, searching(shelves.search, url) as http:
            ordered = asyncio.create_task(http.post("/api/search/reindex/products", params={"pageSize": 3}))
            await door.held.wait()
            now = shelves.search.now
            await hear(shelves, upsert("p0", "Changed"), now)
            await hear(shelves, ProductDeleted(product_id="p1"), now)
            await hear(shelves, upsert("p2", "Changed a moment ago"), now - timedelta(seconds=20))
            await hear(shelves, upsert("p3", "Long known"), now - timedelta(hours=1))
            await hear(shelves, upsert("p6", "New"), now)
            door.open.set()
            assert (await ordered).status_code == 200
    assert await shelves.names() == {
        "p0": "Changed",
        "p2": "Changed a moment ago",
        "p3": "Listed",
        "p4": "Listed",
        "p5": "Listed",
        "p6": "New",
    }
    assert (await shelves.documents())["p1"]["deleted"]


async def test_what_is_listed_lives_and_what_is_dead_stays_dead(shelves: Shelves) -> None:
    """A document deleted by mistake a moment ago comes back; late news of a deleted product does not bring it back."""
    now = shelves.search.now
    await hear(shelves, upsert("p0", "Listed"), now - timedelta(days=1))
    await hear(shelves, upsert("dead", "Dead"), now - timedelta(days=2))
    await hear(shelves, ProductDeleted(product_id="dead"), now - timedelta(days=1))
    await shelves.http.delete("/api/search/index/products/p0")
    original = Original([listed("p0", "Listed")])
    async with answering(original) as behind:
        door = Door(behind, hold=2)
        async with answering(door) as url, searching(shelves.search, url) as http:
            ordered = asyncio.create_task(http.post("/api/search/reindex/products"))
            await door.held.wait()
            await hear(shelves, upsert("dead", "Dead"), now - timedelta(days=2))
            door.open.set()
            assert (await ordered).status_code == 200
    assert await shelves.names() == {"p0": "Listed"}
    await hear(shelves, upsert("dead", "Dead"), now - timedelta(days=2))
    assert await shelves.names() == {"p0": "Listed"}
