"""A migrated inventory database, and events handed straight to the handlers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from dovecote.contracts import Contracts
from dovecote.database import Database, Voice
from dovecote.migrate import migrate
from ecom.contracts import CONTRACTS
from ecom.inventory.service import HERE, SCHEMA
from ecom.inventory.store import Terms


@pytest.fixture
def terms() -> Terms:
    """The defaults: half an hour for a reservation, a month for a memory."""
    return Terms(reservation_ttl=timedelta(minutes=30), memory_ttl=timedelta(days=31))


@pytest.fixture
async def database(empty_database_url: str) -> AsyncIterator[Database]:
    """A database with the library's tables and ours, and nothing in them."""
    await asyncio.to_thread(migrate, empty_database_url, schema=SCHEMA, folders=[HERE / "migrations"])
    voice = Voice("inventory-service", Contracts.load(CONTRACTS), {})
    database = await Database.connect(empty_database_url, schema=SCHEMA, voice=voice)
    yield database
    await database.close()
