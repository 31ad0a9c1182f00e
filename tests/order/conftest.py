"""The order service's own schema on the real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from dovecote.database import Database
from ecom.order.service import NAME, SCHEMA
from tests.order.replicas import Replicas, two
from tests.order.stories import OrderShop
from tests.slate import clean_slate


@pytest.fixture
async def database(module_database_url: str) -> AsyncIterator[Database]:
    """A database of the order service, migrated once for a module and emptied for each test."""
    async with clean_slate(module_database_url, name=NAME, schema=SCHEMA) as database:
        yield database


@pytest.fixture
async def replicas(database: Database) -> AsyncIterator[Replicas]:
    """The service twice, at the client's prices."""
    async with two(database) as clients:
        yield clients


@pytest.fixture
def shop(database: Database) -> OrderShop:
    """The service on its database."""
    return OrderShop(database)
