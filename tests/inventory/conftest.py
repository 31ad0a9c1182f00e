"""A migrated inventory database, and events handed straight to the handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from dovecote.database import Database
from ecom.inventory.service import NAME, SCHEMA
from ecom.inventory.store import Terms
from tests.slate import clean_slate


@pytest.fixture
def terms() -> Terms:
    """The defaults: half an hour for a reservation, a month for a memory."""
    return Terms(reservation_ttl=timedelta(minutes=30), memory_ttl=timedelta(days=31))


@pytest.fixture
async def database(module_database_url: str) -> AsyncIterator[Database]:
    """The service's schema, migrated once for a module and emptied for each test."""
    async with clean_slate(module_database_url, name=NAME, schema=SCHEMA) as database:
        yield database
