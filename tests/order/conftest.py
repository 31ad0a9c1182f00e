"""The order service's own schema on the real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.order.stories import OrderShop

from dovecote.contracts import Contracts
from dovecote.database import Database, Voice
from dovecote.migrate import migrate
from ecom.contracts import CONTRACTS
from ecom.order.service import HERE, NAME, SCHEMA


@pytest.fixture
async def database(empty_database_url: str) -> AsyncIterator[Database]:
    """A database of the order service, migrated and empty."""
    await asyncio.to_thread(migrate, empty_database_url, schema=SCHEMA, folders=[HERE / "migrations"])
    voice = Voice(NAME, Contracts.load(CONTRACTS), {})
    database = await Database.connect(empty_database_url, schema=SCHEMA, voice=voice)
    yield database
    await database.close()


@pytest.fixture
def shop(database: Database) -> OrderShop:
    """The service on its database."""
    return OrderShop(database)
