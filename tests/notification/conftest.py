"""A migrated notification database, and the packaged letters."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from dovecote.database import Database
from ecom.notification.letters import Letters
from ecom.notification.service import NAME, SCHEMA
from tests.slate import clean_slate


@pytest.fixture(scope="session")
def letters() -> Letters:
    return Letters.load()


@pytest.fixture
async def database(module_database_url: str) -> AsyncIterator[Database]:
    """The service's schema, migrated once for a module and emptied for each test."""
    async with clean_slate(module_database_url, name=NAME, schema=SCHEMA) as database:
        yield database
