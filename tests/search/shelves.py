"""A product service that answers HTTP and a search service that hears it: what tests of rebuilds start from."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx

from dovecote.contracts import Contracts
from dovecote.database import Database, Voice
from dovecote.events import Cause
from dovecote.sql import Sql
from dovecote.testing import Bench
from ecom.contracts import CONTRACTS
from ecom.product import catalogue
from ecom.product import service as products
from ecom.product.domain import Product
from ecom.search import service as search
from ecom.serving import base_url, bind, serving
from ecom.web.application import application

SAID = Sql("SELECT id, topic, key, value FROM outbox_event_record WHERE id > $1 ORDER BY id")
# Everything but the slot's name and the writer's number: two indexes are the same where these rows are.
DOCUMENTS = Sql("""
    SELECT to_jsonb(d) - 'slot' - 'written' AS document
      FROM document AS d
     WHERE slot = coalesce($1, (SELECT live FROM index_state))
     ORDER BY product_id
""")
WORDS = Sql("""
    SELECT word, stem, in_name, anywhere
      FROM word
     WHERE slot = (SELECT live FROM index_state) AND anywhere > 0
     ORDER BY word
""")

PATH = "/api/search/reindex/products"


def product(product_id: str, name: str = "", **fields: Any) -> Product:
    """A product of the shop."""
    usual = {"category": "Tea", "brand": "Leaf", "price": Decimal("3.20"), "sizes": ("12 OZ",)}
    return Product(id=product_id, name=name or f"Tea {product_id}", **{**usual, **fields})


@dataclass
class Shelves:
    """Both services on databases of the test's own; ``http`` calls search, ``url`` is where products are listed."""

    products: Database
    search: Database
    bench: Bench
    http: httpx.AsyncClient
    url: str
    heard: int = 0

    async def put(self, *wanted: Product) -> None:
        """Make or replace products."""
        async with self.products.transaction() as tx:
            await catalogue.put(tx, wanted, because=Cause("0" * 32))

    async def remove(self, *ids: str) -> None:
        """Delete products."""
        async with self.products.transaction() as tx:
            await catalogue.remove(tx, ids, because=Cause("0" * 32))

    async def hear(self) -> None:
        """Search hears what the product service has said since, in its order."""
        rows = await self.products.fetch(SAID, self.heard)
        if rows:
            self.heard = rows[-1]["id"]
            await self.bench.deliver(*(self.bench.raw(row["topic"], row["value"], key=row["key"]) for row in rows))

    async def documents(self, slot: str | None = None) -> dict[str, dict[str, Any]]:
        """The index that serves, or a slot, by product."""
        found = [row["document"] for row in await self.search.fetch(DOCUMENTS, slot)]
        decoded: Sequence[dict[str, Any]] = [httpx.Response(200, content=each).json() for each in found]
        return {each["product_id"]: each for each in decoded}

    async def words(self) -> list[tuple[Any, ...]]:
        """The vocabulary of what serves, with its counts."""
        return [tuple(row.values()) for row in await self.search.fetch(WORDS)]

    async def names(self) -> dict[str, str]:
        """What can be found, by product."""
        return {key: each["name"] for key, each in (await self.documents()).items() if not each["deleted"]}

    async def reindex(self, **given: Any) -> httpx.Response:
        """Order a rebuild."""
        return await self.http.post(PATH, params=given)

    async def state(self) -> dict[str, Any]:
        """How far a rebuild is."""
        answer: dict[str, Any] = (await self.http.get(PATH)).json()
        return answer


@contextlib.asynccontextmanager
async def open_shelves(database_url: str) -> AsyncIterator[Shelves]:
    """Both services, the product service behind a port."""
    contracts = Contracts.load(CONTRACTS)
    async with contextlib.AsyncExitStack() as stack:

        async def connect(name: str, schema: str) -> Database:
            database = await Database.connect(database_url, schema=schema, voice=Voice(name, contracts, {}))
            stack.push_async_callback(database.close)
            return database

        of_products = await connect(products.NAME, products.SCHEMA)
        of_search = await connect(search.NAME, search.SCHEMA)
        taken = stack.enter_context(contextlib.closing(bind("127.0.0.1", 0)))
        await stack.enter_async_context(serving(application([(products.build({}), of_products)]), taken))
        url = base_url(taken)
        http = await stack.enter_async_context(searching(of_search, url))
        bench = Bench(search.build({}).blueprint, of_search)
        yield Shelves(of_products, of_search, bench, http, url)


@contextlib.asynccontextmanager
async def searching(database: Database, products_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a search service that reads its products at an address."""
    built = search.build({"APP_SEARCH_PRODUCTSERVICEBASEURL": products_url})
    transport = httpx.ASGITransport(app=application([(built, database)]))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://search", timeout=60) as http:
        yield http
