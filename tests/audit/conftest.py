"""The small shop of `books`, on a database of the test's own."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator

import asyncpg
import pytest

from ecom.shop import Shop
from tests.audit.books import DOCUMENTS, EVENTS, INVENTORY, ORDER, PAYMENT, PRICES, PRODUCT, Books


@pytest.fixture
async def books(database_url: str, bootstrap: str) -> AsyncIterator[Books]:
    """The shop whose books agree."""
    shop = Shop.all(os.environ)
    services = await asyncio.to_thread(shop.services, database_url, bootstrap)
    async with contextlib.AsyncExitStack() as stack:
        for service in services.values():
            await service.connect()
            stack.push_async_callback(service.stop)
        connection = await asyncpg.connect(database_url)
        stack.push_async_callback(connection.close)
        books = Books(services, connection)
        for name, script in (
            ("order", ORDER + PRICES),
            ("inventory", INVENTORY),
            ("payment", PAYMENT),
            ("product", PRODUCT),
            ("search", DOCUMENTS),
        ):
            await books.run(name, script)
        for event in EVENTS:
            await books.store(*event)
        yield books
