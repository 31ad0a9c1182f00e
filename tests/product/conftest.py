"""A migrated product database, emptied for each test, and the service's door."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from dovecote.database import Database
from ecom.product.service import NAME, SCHEMA
from tests.product.stories import door
from tests.slate import clean_slate


@pytest.fixture
async def database(module_database_url: str) -> AsyncIterator[Database]:
    """The service's schema, migrated once for a module and emptied for each test."""
    async with clean_slate(module_database_url, name=NAME, schema=SCHEMA) as database:
        yield database


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service alone."""
    async with door(database) as client:
        yield client
