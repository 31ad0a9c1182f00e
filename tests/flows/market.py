"""A whole shop that is open: its HTTP, its topics, its schemas and the provider's book, as a story needs them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec

from dovecote import deadletter
from dovecote.database import Database
from dovecote.deadletter import DeadLetter
from dovecote.kafka import Admin, LogRecord, read_topics
from dovecote.service import Service
from dovecote.sql import Sql
from dovecote.testing import eventually
from ecom.local import Servers
from ecom.local.child import start_child
from ecom.provider import ledger
from ecom.provider.interface import Operation
from ecom.running import PROVIDER, PROVIDER_URL, Running, run_apart, run_here
from ecom.shop import Shop

SECONDS_MAX = 30.0
# Of cards that answer late: longer than payment waits for an answer, so that it must ask again.
LATE_SECONDS = "2"
PATIENCE = {"APP_PAYMENT_PROVIDER_TIMEOUT": "PT1S"}
# Most stories are about what becomes of an order, and sell what no catalogue lists.
PRICING = "APP_ORDER_PRICING"
PRICE = "2.50"
ENDED = frozenset({"FAILED", "TIMED_OUT", "CANCELLED"})

PAYMENT = Sql("SELECT stage, status, settlement, amount_minor FROM payment WHERE order_id = $1")
HOLD = Sql("SELECT state FROM order_hold WHERE order_id = $1")
DEADLINE_NOW = Sql("UPDATE orders SET deadline = $2 WHERE id = $1")


@dataclass(frozen=True)
class Provider:
    """The provider's process: where it listens, and the folder of its book."""

    url: str
    book: Path


@dataclass(frozen=True)
class Event:
    """An event as it lies in Kafka."""

    record: LogRecord
    envelope: Mapping[str, Any]

    @property
    def type(self) -> str:
        return str(self.envelope["eventType"])

    @property
    def order_id(self) -> str:
        return str(self.envelope["payload"].get("orderId", ""))


@dataclass(frozen=True)
class Market:
    """The open shop. ``services`` are connected, whichever process runs them."""

    urls: Mapping[str, str]
    services: Mapping[str, Service]
    servers: Servers
    provider: Provider
    prefix: str
    environ: Mapping[str, str]
    http: aiohttp.ClientSession = field(repr=False)

    # -- HTTP ---------------------------------------------------------------------------------------------------

    async def call(self, service: str, method: str, path: str, **request: Any) -> tuple[int, Any]:
        """One call; the status and the JSON (or the text) of the answer."""
        async with self.http.request(method, self.urls[service] + path, **request) as response:
            body = await response.read()
            if "json" in response.headers.get("Content-Type", ""):
                return response.status, msgspec.json.decode(body)
            return response.status, body.decode()

    async def ask(self, service: str, method: str, path: str, **request: Any) -> Any:
        """One call that must succeed; its answer."""
        status, answer = await self.call(service, method, path, **request)
        assert status in (200, 201), f"{method} {path} was answered with {status}: {answer}"
        return answer

    async def shelve(self, sku: str, quantity: int) -> None:
        """Put stock on the shelf."""
        await self.ask("inventory", "POST", "/api/inventory/stock", json={"sku": sku, "availableQuantity": quantity})

    async def offer(self, price: str = PRICE) -> str:
        """Put a product into the catalogue; its id, which is its SKU."""
        body = {"name": "Milk", "category": "DAIRY", "brand": "Ours", "price": price, "currency": "EUR"}
        return str((await self.ask("product", "POST", "/api/products", json=body))["id"])

    async def stock(self, sku: str) -> tuple[int, int]:
        """(available, reserved) of a SKU."""
        answer = await self.ask("inventory", "GET", f"/api/inventory/stock/{sku}")
        return answer["availableQuantity"], answer["reservedQuantity"]

    async def place(
        self, sku: str, quantity: int, *, user_id: int, card: str = "card", trace_id: str | None = None
    ) -> str:
        """Place an order at 2.50 a unit; its id."""
        line = {"productId": sku, "sku": sku, "quantity": quantity, "unitPrice": PRICE}
        body = {"userId": user_id, "currency": "EUR", "items": [line], "paymentMethod": card}
        answer = await self.ask("order", "POST", "/api/orders", json=body, headers=traced(trace_id))
        return str(answer["id"])

    async def cancel(self, order_id: str, *, trace_id: str | None = None) -> None:
        """The customer's second thought."""
        await self.ask("order", "POST", f"/api/orders/{order_id}/cancel", headers=traced(trace_id))

    async def order(self, order_id: str) -> dict[str, Any]:
        """The order as its customer sees it."""
        answer: dict[str, Any] = await self.ask("order", "GET", f"/api/orders/{order_id}")
        return answer

    async def mails(self, user_id: int) -> list[dict[str, Any]]:
        """What was written to a customer."""
        answer: list[dict[str, Any]] = await self.ask(
            "notification", "GET", "/api/notifications", params={"userId": user_id}
        )
        return answer

    # -- behind the counter -------------------------------------------------------------------------------------

    def database(self, service: str) -> Database:
        """A service's schema."""
        return self.services[service].database

    def topic(self, event_type: str) -> str:
        """Where an event lies in this shop."""
        return self.services["order"].voice.topic(event_type)

    async def payment(self, order_id: str) -> Mapping[str, Any]:
        """An order's payment, empty before there is one."""
        return await self.database("payment").fetchrow(PAYMENT, order_id) or {}

    async def pass_deadline(self, order_id: str) -> None:
        """As if the order's time were up now; the sweep finds it."""
        async with self.database("order").transaction() as tx:
            assert await tx.execute(DEADLINE_NOW, order_id, tx.now) == 1

    def money(self, reference: str) -> list[tuple[Operation, str, int]]:
        """What the provider's book says it did for an order: (operation, outcome, amount in minor units)."""
        return [
            (entry.operation, entry.outcome.value, entry.amount_minor)
            for entry in ledger.read(self.provider.book)
            if entry.reference == reference
        ]

    def net(self, reference: str) -> int:
        """What of an order's money the provider holds or has taken."""
        sign = {Operation.AUTHORIZE: 1, Operation.CAPTURE: 0, Operation.VOID: -1, Operation.REFUND: -1}
        return sum(
            sign[operation] * amount for operation, outcome, amount in self.money(reference) if outcome == "APPROVED"
        )

    async def events(self, order_id: str | None = None) -> list[Event]:
        """What our services have said (about an order), as it lies in Kafka."""
        topics = sorted({topic for service in self.services.values() for topic in service.said})
        records = await asyncio.to_thread(lambda: list(read_topics(self.servers.bootstrap, topics)))
        ours = (each for each in records if any(name == "aggregate-sequence" for name, _ in each.headers))
        events = [Event(each, msgspec.json.decode(each.value or b"")) for each in ours]
        return [each for each in events if order_id in (None, each.order_id)]

    async def until(self, order_id: str, *statuses: str) -> dict[str, Any]:
        """Wait until the order has one of these statuses; an end that is none of them fails at once."""

        async def there() -> dict[str, Any] | None:
            order = await self.order(order_id)
            if order["status"] in statuses:
                return order
            assert order["status"] not in ENDED, f"{order} has ended, and not as any of {statuses}"
            return None

        found: dict[str, Any] = await eventually(there, seconds=SECONDS_MAX, what=f"{order_id} is {statuses}")
        return found

    async def is_held(self, order_id: str) -> bool:
        """Whether inventory has answered that it holds the order's stock."""
        return bool(await self.database("inventory").fetchval(HOLD, order_id) == "HELD")

    async def letters(self, key: str) -> dict[str, list[DeadLetter]]:
        """Dead letters of messages with this key, by the service that could not take them."""
        found = {
            name: [each for each in await deadletter.letters(service.database) if each.key == key.encode()]
            for name, service in self.services.items()
        }
        return {name: each for name, each in found.items() if each}

    async def until_rest(self) -> None:
        """Wait until no service has anything left to hear."""

        admin = Admin(self.servers.bootstrap)

        async def heard() -> bool:
            lags = [await admin.lag(service.group, service.heard) for service in self.services.values()]
            return sum(lags) == 0

        await eventually(heard, seconds=SECONDS_MAX, every=0.1, what="everything is heard")


def traced(trace_id: str | None) -> dict[str, str]:
    """The header by which a client makes a request part of its story."""
    return {} if trace_id is None else {"traceparent": f"00-{trace_id}-{trace_id[:16]}-01"}


def new_sku() -> str:
    """A SKU that no other test uses."""
    return f"sku-{secrets.token_hex(5)}"


def new_order_id() -> str:
    """The id of an order that another system has placed."""
    return f"ord_{uuid4()}"


def new_user() -> int:
    """A customer that no other test uses."""
    return 10_000 + secrets.randbelow(2**40)


@contextlib.asynccontextmanager
async def open_market(
    servers: Servers, settings: Mapping[str, str] | None = None, *, is_apart: bool = False
) -> AsyncIterator[Market]:
    """Open a shop with a provider of its own and every service listening, in this process or each in its own.

    All of it carries a prefix that nothing else has, and goes after.
    """
    prefix = f"t{secrets.token_hex(4)}_"
    async with open_provider(servers, prefix + PROVIDER) as provider:
        own = {**PATIENCE, PRICING: "client", PROVIDER_URL: provider.url, **(settings or {})}
        environ = {**os.environ, **servers.environ, **own}
        shop = Shop.all(environ, prefix=prefix)
        runner = (
            run_apart(shop, servers, environ=environ, ports={})
            if is_apart
            else run_here(shop, servers, address="127.0.0.1", port=0)
        )
        try:
            async with runner as here, _connected(shop, servers, here) as services, aiohttp.ClientSession() as http:
                market = Market(here.urls, services, servers, provider, prefix, environ, http)
                await _warm_up(market)
                yield market
        finally:
            await shop.drop(servers.database_url, servers.bootstrap)


@contextlib.asynccontextmanager
async def open_provider(servers: Servers, name: str) -> AsyncIterator[Provider]:
    """A payment provider: a process with a book that the shop cannot write."""
    book = servers.home.path / name
    argv = ["provider", "--port", "{port}", "--home", str(book), "--late-seconds", LATE_SECONDS]
    child = await start_child(servers.home, name, argv, environ=os.environ)
    try:
        yield Provider(f"http://127.0.0.1:{child.port}", book)
    finally:
        await child.stop()


@contextlib.asynccontextmanager
async def _connected(shop: Shop, servers: Servers, here: Running) -> AsyncIterator[Mapping[str, Service]]:
    """The services of this process, or for those of others connections of our own."""
    if here.services:
        yield here.services
        return
    services = await asyncio.to_thread(shop.services, servers.database_url, servers.bootstrap)
    try:
        for service in services.values():
            await service.connect()
        yield services
    finally:
        await asyncio.gather(*(service.stop() for service in services.values()))


async def _warm_up(market: Market) -> None:
    """One sale: from here on every group has its partitions, and no story is about joining a group."""
    user_id = new_user()
    sku = new_sku() if market.environ[PRICING] == "client" else await market.offer()
    await market.shelve(sku, 1)
    await market.until(await market.place(sku, 1, user_id=user_id), "CONFIRMED")


def ordered(entries: Sequence[tuple[Operation, str, int]]) -> list[str]:
    """The operations that moved money, in order."""
    return [operation.value for operation, outcome, _ in entries if outcome == "APPROVED"]
