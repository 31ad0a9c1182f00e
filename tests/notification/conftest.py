"""A migrated notification database, and the packaged letters."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from dovecote.contracts import Contracts
from dovecote.database import Database, Voice
from dovecote.sql import Sql
from ecom.contracts import CONTRACTS
from ecom.notification.letters import Letters
from ecom.notification.service import NAME, SCHEMA

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


@pytest.fixture(scope="session")
def letters() -> Letters:
    return Letters.load()


@pytest.fixture
async def database(module_database_url: str) -> AsyncIterator[Database]:
    """The service's schema, migrated once for a module and emptied for each test."""
    voice = Voice(NAME, Contracts.load(CONTRACTS), {})
    database = await Database.connect(module_database_url, schema=SCHEMA, voice=voice)
    async with database.transaction() as tx:
        await tx.execute(EMPTY)
    yield database
    await database.close()
