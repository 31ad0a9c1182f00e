"""The order service's own schema on the real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from dovecote.contracts import Contracts
from dovecote.database import Database, Voice
from ecom.contracts import CONTRACTS
from ecom.order.service import NAME, SCHEMA
from tests.order.stories import OrderShop


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database of the order service, migrated and empty."""
    voice = Voice(NAME, Contracts.load(CONTRACTS), {})
    database = await Database.connect(database_url, schema=SCHEMA, voice=voice)
    yield database
    await database.close()


@pytest.fixture
def shop(database: Database) -> OrderShop:
    """The service on its database."""
    return OrderShop(database)
