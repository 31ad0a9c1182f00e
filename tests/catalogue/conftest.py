"""A product service's and an inventory's migrated schemas in one database of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from dovecote.contracts import Contracts
from dovecote.database import Database, Voice
from ecom.contracts import CONTRACTS
from ecom.inventory import service as inventory
from ecom.product import service as product


@pytest.fixture
async def products(database_url: str) -> AsyncIterator[Database]:
    """The product service's schema."""
    voice = Voice(product.NAME, Contracts.load(CONTRACTS), {})
    database = await Database.connect(database_url, schema=product.SCHEMA, voice=voice)
    yield database
    await database.close()


@pytest.fixture
async def stock(database_url: str) -> AsyncIterator[Database]:
    """Inventory's schema."""
    voice = Voice(inventory.NAME, Contracts.load(CONTRACTS), {})
    database = await Database.connect(database_url, schema=inventory.SCHEMA, voice=voice)
    yield database
    await database.close()
