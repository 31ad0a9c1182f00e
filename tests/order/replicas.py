"""The service twice on one database: what its customers post under keys, and how one of them is held up."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping

import asyncpg
import httpx

from dovecote.contracts import Contracts
from dovecote.database import Database, Voice
from dovecote.sql import Sql
from dovecote.testing import eventually
from ecom.contracts import CONTRACTS
from ecom.order.service import NAME, SCHEMA
from tests.order.pricing import body, customer, line

Replicas = tuple[httpx.AsyncClient, httpx.AsyncClient]

CLIENT_PRICES = {"APP_ORDER_PRICING": "client"}
ORDERS = "/api/orders"
COUNT = Sql("""
    SELECT (SELECT count(*) FROM orders) AS orders, (SELECT count(*) FROM outbox_event_record) AS events,
           (SELECT count(*) FROM idempotency_key) AS keys
""")
STUCK = Sql("""
    SELECT pid FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'INSERT INTO orders%'
""")


@contextlib.asynccontextmanager
async def another(database: Database) -> AsyncIterator[Database]:
    """The same database as another process of the service sees it."""
    twin = await Database.connect(database._url, schema=SCHEMA, voice=Voice(NAME, Contracts.load(CONTRACTS), {}))
    try:
        yield twin
    finally:
        await twin.close()


@contextlib.asynccontextmanager
async def two(database: Database, settings: Mapping[str, str] = CLIENT_PRICES) -> AsyncIterator[Replicas]:
    """The service twice, each with its own memory and connections."""
    async with (
        another(database) as twin,
        customer(database, settings) as one,
        customer(twin, settings) as other,
    ):
        yield one, other


async def counted(database: Database) -> dict[str, int]:
    """How many orders, events and keys there are."""
    return dict((await database.fetch(COUNT))[0])


@contextlib.asynccontextmanager
async def stuck(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """Let nobody finish placing an order: who has taken a key keeps it, without an answer."""
    connection = await asyncpg.connect(database._url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("LOCK TABLE order_service.orders IN SHARE MODE")
    try:
        yield connection
    finally:
        await transaction.rollback()
        await connection.close()


async def until_stuck(database: Database) -> int:
    """Wait until a placing has its key and goes no further; says which session of the server that is."""

    async def there() -> bool:
        return bool(await database.fetch(STUCK))

    await eventually(there, what="an order is being placed")
    return int((await database.fetch(STUCK))[0]["pid"])


async def post(client: httpx.AsyncClient, key: str | None, given: object | None = None) -> httpx.Response:
    """Place an order under a key."""
    headers = {"Idempotency-Key": key} if key is not None else {}
    return await client.post(ORDERS, json=body(line("A", 1)) if given is None else given, headers=headers)


async def insist(client: httpx.AsyncClient, key: str, given: object | None = None) -> list[httpx.Response]:
    """Place an order under a key as a client that is told to come again does; all that it was told."""
    answers = [await post(client, key, given)]
    while answers[-1].status_code == 409:
        answers.append(await post(client, key, given))
    return answers


def assert_in_use(answer: httpx.Response) -> None:
    """409 that says what to do next."""
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    assert (answer.json()["code"], answer.json()["field"]) == ("IDEMPOTENCY_KEY_IN_USE", "Idempotency-Key")
    assert int(answer.headers["Retry-After"]) > 0
