"""A migrated inventory database, and events handed straight to the handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from dovecote.contracts import Contracts
from dovecote.database import Database, Voice
from dovecote.sql import Sql
from ecom.contracts import CONTRACTS
from ecom.inventory.service import NAME, SCHEMA
from ecom.inventory.store import Terms

EMPTY = Sql("""
    DO $$
    DECLARE name text;
    BEGIN
        FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename NOT LIKE '%yoyo%'
        LOOP
            EXECUTE format('DELETE FROM %I', name);
        END LOOP;
    END $$
""")


@pytest.fixture
def terms() -> Terms:
    """The defaults: half an hour for a reservation, a month for a memory."""
    return Terms(reservation_ttl=timedelta(minutes=30), memory_ttl=timedelta(days=31))


@pytest.fixture
async def database(module_database_url: str) -> AsyncIterator[Database]:
    """The service's schema, migrated once for a module and emptied for each test."""
    voice = Voice(NAME, Contracts.load(CONTRACTS), {})
    database = await Database.connect(module_database_url, schema=SCHEMA, voice=voice)
    async with database.transaction() as tx:
        await tx.execute(EMPTY)
    yield database
    await database.close()
