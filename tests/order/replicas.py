"""The order service twice on one database, and what its customers post under keys."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping

import asyncpg
import httpx

from dovecote.database import Database
from dovecote.sql import Sql
from ecom.order.service import SCHEMA
from tests import twins
from tests.order.pricing import body, customer, line

Replicas = tuple[httpx.AsyncClient, httpx.AsyncClient]

CLIENT_PRICES = {"APP_ORDER_PRICING": "client"}
ORDERS = "/api/orders"
COUNT = Sql("""
    SELECT (SELECT count(*) FROM orders) AS orders, (SELECT count(*) FROM outbox_event_record) AS events,
           (SELECT count(*) FROM idempotency_key) AS keys
""")


@contextlib.asynccontextmanager
async def two(database: Database, settings: Mapping[str, str] = CLIENT_PRICES) -> AsyncIterator[Replicas]:
    """The service twice, each with its own memory and connections."""
    async with (
        twins.another(database, schema=SCHEMA) as twin,
        customer(database, settings) as one,
        customer(twin, settings) as other,
    ):
        yield one, other


def stuck(database: Database) -> contextlib.AbstractAsyncContextManager[asyncpg.Connection]:
    """Let nobody finish placing an order."""
    return twins.stuck(database, "LOCK TABLE order_service.orders IN SHARE MODE")


async def counted(database: Database) -> dict[str, int]:
    """How many orders, events and keys there are."""
    return dict((await database.fetch(COUNT))[0])


async def post(client: httpx.AsyncClient, key: str | None, given: object | None = None) -> httpx.Response:
    """Place an order under a key."""
    headers = {"Idempotency-Key": key} if key is not None else {}
    return await client.post(ORDERS, json=body(line("A", 1)) if given is None else given, headers=headers)


async def insist(client: httpx.AsyncClient, key: str) -> list[httpx.Response]:
    """Place an order under a key as a client that is told to come again does; all that it was told."""
    return await twins.insist(lambda: post(client, key))


def assert_in_use(answer: httpx.Response) -> None:
    """The key's first request still runs."""
    twins.assert_in_use(answer, "Idempotency-Key")
