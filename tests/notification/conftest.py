"""A migrated notification database, and the packaged letters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from dovecote.contracts import Contracts
from dovecote.database import Database, Voice
from dovecote.migrate import migrate
from ecom.contracts import CONTRACTS
from ecom.notification.letters import Letters
from ecom.notification.service import HERE, SCHEMA


@pytest.fixture(scope="session")
def letters() -> Letters:
    return Letters.load()


@pytest.fixture
async def database(empty_database_url: str) -> AsyncIterator[Database]:
    """A database with the library's tables and ours, and nothing in them."""
    await asyncio.to_thread(migrate, empty_database_url, schema=SCHEMA, folders=[HERE / "migrations"])
    voice = Voice("notification-service", Contracts.load(CONTRACTS), {})
    database = await Database.connect(empty_database_url, schema=SCHEMA, voice=voice)
    yield database
    await database.close()
