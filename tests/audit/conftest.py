"""The small shop of `books`: made once for a module, spoiled in a transaction that each test rolls back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from dovecote.clock import Clock
from dovecote.database import Database
from ecom.shop import Shop
from tests.audit.books import DOCUMENTS, EVENTS, INVENTORY, NOTIFICATION, ORDER, PAYMENT, PRICES, PRODUCT, Books


class _Lent:
    """The connection for one use: the next one may be another service's, and must set its own schema."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def is_closed(self) -> bool:
        return True


class OneConnection:
    """A pool of one connection that all services share: what one test has changed, all of them see, and nobody else."""

    def __init__(self, connection: asyncpg.Connection, schema: str) -> None:
        self._connection = connection
        self._schema = schema

    async def acquire(self, *, timeout: float | None = None) -> _Lent:
        """The connection, in the schema of a service; ``timeout`` is what a pool of many would wait for one."""
        del timeout
        await self._connection.execute(f"SET search_path TO {self._schema}")
        return _Lent(self._connection)

    async def release(self, _lent: _Lent) -> None:
        """It stays what it is."""


@pytest.fixture(scope="module")
async def clean(module_database_url: str, bootstrap: str) -> AsyncIterator[Books]:
    """The shop whose books agree."""
    services = await asyncio.to_thread(Shop.all(os.environ).services, module_database_url, bootstrap)
    connection = await asyncpg.connect(module_database_url)
    for service in services.values():
        pool = OneConnection(connection, service.schema)
        service._database = Database(pool, url=module_database_url, settings={}, voice=service.voice, clock=Clock())
        await service.database.read_clock()
    books = Books(services, connection)
    for name, script in (
        ("order", ORDER + PRICES),
        ("inventory", INVENTORY),
        ("payment", PAYMENT),
        ("notification", NOTIFICATION),
        ("product", PRODUCT),
        ("search", DOCUMENTS),
    ):
        await books.run(name, script)
    for event in EVENTS:
        await books.store(*event)
    yield books
    await connection.close()


@pytest.fixture
async def books(clean: Books) -> AsyncIterator[Books]:
    """Those books, to be spoiled."""
    transaction = clean.connection.transaction()
    await transaction.start()
    yield clean.copied()
    await transaction.rollback()
