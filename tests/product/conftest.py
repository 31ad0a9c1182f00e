"""A migrated product database, emptied for each test, and the service's door."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from dovecote.contracts import Contracts
from dovecote.database import Database, Voice
from dovecote.sql import Sql
from ecom.contracts import CONTRACTS
from ecom.product.service import NAME, SCHEMA
from tests.product.stories import door

EMPTY = Sql("DELETE FROM product"), Sql("DELETE FROM outbox_event_record")


@pytest.fixture
async def database(module_database_url: str) -> AsyncIterator[Database]:
    """The service's schema, migrated once for a module and emptied for each test."""
    voice = Voice(NAME, Contracts.load(CONTRACTS), {})
    database = await Database.connect(module_database_url, schema=SCHEMA, voice=voice)
    async with database.transaction() as tx:
        for statement in EMPTY:
            await tx.execute(statement)
    yield database
    await database.close()


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service alone."""
    async with door(database) as client:
        yield client
