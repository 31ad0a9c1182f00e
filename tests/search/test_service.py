"""The search service as it runs: through its inbox, and beside the product service on real PostgreSQL and Kafka."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from dovecote.contracts import Contracts
from dovecote.database import Database
from dovecote.kafka import Admin
from dovecote.migrate import drop
from dovecote.service import Service
from dovecote.sql import Sql
from dovecote.testing import Bench, eventually
from ecom.contracts import CONTRACTS
from ecom.contracts.product import ProductDeleted, ProductUpserted
from ecom.search.service import build
from ecom.shop import Shop
from ecom.web.application import application
from tests.search.stories import documents, door

UPSERTED, DELETED = "product.upserted.v1", "product.deleted.v1"
DEAD = Sql("SELECT status FROM dead_letter ORDER BY id")
BODY = {"name": "Green tea 20 CT", "category": "Tea", "brand": "Leaf", "price": 4.99}


def test_where_it_listens_and_what_it_hears() -> None:
    """Port 8089 alone; it hears of products and says nothing; its settings have the contract's defaults."""
    built = build({})
    blueprint = built.blueprint
    assert blueprint.settings.port == 8089
    assert blueprint.handlers.event_types == [UPSERTED, DELETED]
    assert blueprint.published(Contracts.load(CONTRACTS)) == []
    own = blueprint.app.search  # type: ignore[attr-defined]
    assert own.relevance.target_pass_rate == 85.0


def raw(payload: dict[str, Any], event_type: str = UPSERTED) -> bytes:
    """An envelope with no more than a reader needs."""
    envelope = {"eventId": str(uuid4()), "eventType": event_type, "occurredAt": "2026-02-03T04:05:06Z"}
    return msgspec.json.encode({**envelope, "payload": payload})


async def test_a_foreign_event_is_indexed_and_poison_hurts_nobody(database: Database) -> None:
    """The least a foreign producer sends is enough, with a price of either kind; what is none is a dead letter."""
    bench = Bench(build({}).blueprint, database)
    good = [
        raw({"productId": "1", "name": "Green tea", "price": "2.50"}),
        raw({"productId": "2", "name": "Red tea", "price": 2.5, "unknown": {"field": 1}, "brand": None}),
        raw({"productId": "3", "name": "Tea\0pot", "price": 1}),
    ]
    poison = [
        raw({"productId": "4", "name": "Tea"}),
        raw({"productId": "", "name": "Tea", "price": 1}),
        raw({"productId": "5", "name": "Tea", "price": "NaN"}),
        raw({"productId": "6", "name": "Tea", "price": 1, "version": 2**63}),
        b"not json",
        None,
    ]
    await bench.deliver(*(bench.raw(UPSERTED, value) for value in [good[0], *poison, *good, good[0]]))
    await bench.deliver(bench.raw(DELETED, raw({"productId": "2"}, DELETED)))
    async with door(database) as client:
        answer = (await client.get("/api/search/products", params={"q": "tea"})).json()
    assert {each["productId"] for each in answer["content"]} == {"1", "3"}
    assert sorted(row["status"] for row in await database.fetch(DEAD)) == ["DEAD"] * 6


async def test_our_own_events_are_read_whole(database: Database) -> None:
    """Every field of the writer's Struct that search shows arrives, and the version guards."""
    bench = Bench(build({}).blueprint, database)
    said = ProductUpserted(
        product_id="1",
        name="Tea",
        price=Decimal("4.20"),
        description="Loose",
        category="Tea",
        brand="Leaf",
        colors=("green",),
        sizes=("20 CT",),
        active=True,
        version=2,
        sku="1",
        currency="EUR",
    )
    await bench.deliver(said)
    await bench.deliver(ProductDeleted(product_id="1", version=1))
    [row] = await documents(database)
    hit = msgspec.json.decode(row["hit"])
    assert (row["version"], row["deleted"]) == (2, False)
    assert {key: hit[key] for key in ("name", "price", "description", "colors", "sizes", "active")} == {
        "name": "Tea",
        "price": 4.2,
        "description": "Loose",
        "colors": ["green"],
        "sizes": ["20 CT"],
        "active": True,
    }


@dataclass(frozen=True)
class Open:
    """A product and a search service at work, and a client of both."""

    shop: Shop
    services: dict[str, Service]
    http: httpx.AsyncClient

    async def listed(self, text: str) -> Sequence[dict[str, Any]]:
        """What a search finds now."""
        answer = await self.http.get("/api/search/products", params={"q": text})
        content: Sequence[dict[str, Any]] = answer.json()["content"]
        return content

    async def becomes(self, text: str, names: Sequence[str]) -> None:
        """Wait until a search finds these names."""

        async def is_so() -> bool:
            return sorted(each["name"] for each in await self.listed(text)) == sorted(names)

        await eventually(is_so, seconds=20, what=f"{text!r} finds {names}")


@contextlib.asynccontextmanager
async def opened(database_url: str, bootstrap: str, prefix: str) -> AsyncIterator[Open]:
    """Both services on one database and the real broker."""
    shop = Shop.of(("product", "search"), {}, prefix=prefix)
    await shop.migrate(database_url)
    services = shop.services(database_url, bootstrap)
    for service in services.values():
        await service.start()
    app = application([(shop.built[name], service.database) for name, service in services.items()])
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            yield Open(shop, services, client)
    finally:
        for service in services.values():
            await service.stop()


@pytest.fixture
async def swept(empty_database_url: str, bootstrap: str, prefix: str) -> AsyncIterator[str]:
    """A prefix of which nothing is left afterwards."""
    yield prefix
    await Shop.of(("product", "search"), {}, prefix=prefix).drop(empty_database_url, bootstrap)


async def test_a_product_is_found_changed_and_gone(empty_database_url: str, bootstrap: str, swept: str) -> None:
    """Made over HTTP it is found, changed it is found by its new name only, deleted it is found no longer."""
    async with opened(empty_database_url, bootstrap, swept) as shop:
        made = (await shop.http.post("/api/products", json=BODY)).json()
        await shop.becomes("green tea", ["Green tea 20 CT"])
        [shown] = await shop.listed("green tea")
        assert (shown["productId"], shown["price"], shown["category"]) == (made["id"], 4.99, "Tea")
        await shop.http.put(f"/api/products/{made['id']}", json=BODY | {"name": "Black coffee"})
        await shop.becomes("black coffee", ["Black coffee"])
        assert await shop.listed("green") == []
        await shop.http.delete(f"/api/products/{made['id']}")
        await shop.becomes("black coffee", [])


async def test_events_from_offset_0_make_the_same_index(
    empty_database_url: str, database_url: str, bootstrap: str, swept: str
) -> None:
    """Products made, changed and deleted; then an empty database and a new consumer: row for row the same index."""
    async with opened(empty_database_url, bootstrap, swept) as shop:
        bodies = [BODY | {"name": f"Tea {number}", "active": number % 5 > 0} for number in range(40)]
        made = await asyncio.gather(*(shop.http.post("/api/products", json=body) for body in bodies))
        keys = [answer.json()["id"] for answer in made]
        await asyncio.gather(*(shop.http.put(f"/api/products/{key}", json=BODY) for key in keys[10:20]))
        await asyncio.gather(*(shop.http.delete(f"/api/products/{key}") for key in keys[15:25]))
        await asyncio.gather(*(shop.http.put(f"/api/products/{key}", json=BODY | {"price": 1}) for key in keys[10:15]))

        async def settled() -> bool:
            rows = await documents(shop.services["search"].database)
            return len(rows) == 40 and sum(row["version"] for row in rows) == 40 + 10 + 10 + 5

        await eventually(settled, seconds=30, what="all 65 events are indexed")
        expected = await documents(shop.services["search"].database)
    await Admin(bootstrap).delete_groups([f"{swept}search-service"])
    again = Shop.of(("search",), {}, prefix=swept)
    await again.migrate(database_url)
    service = again.services(database_url, bootstrap)["search"]
    await service.start()
    try:

        async def rebuilt() -> bool:
            return await documents(service.database) == expected

        await eventually(rebuilt, seconds=30, what="the events alone make the same index")
    finally:
        await service.stop()
        await asyncio.to_thread(drop, database_url, schema=service.schema)
