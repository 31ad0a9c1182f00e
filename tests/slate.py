"""A clean slate for each test: a service's migrated schema, emptied, which costs a hundredth of a new database."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

from dovecote.contracts import Contracts
from dovecote.database import Database, Voice
from dovecote.sql import Sql
from ecom.contracts import CONTRACTS

EMPTY = (
    Sql("""
        DO $$
        DECLARE name text;
        BEGIN
            FOR name IN
                SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename NOT LIKE '%yoyo%'
            LOOP
                EXECUTE format('DELETE FROM %I', name);
            END LOOP;
        END $$
    """),
)


@contextlib.asynccontextmanager
async def clean_slate(url: str, *, name: str, schema: str, empty: Sequence[Sql] = EMPTY) -> AsyncIterator[Database]:
    """A service's schema without a row, in a database that the tests of a module use one after the other."""
    database = await Database.connect(url, schema=schema, voice=Voice(name, Contracts.load(CONTRACTS), {}))
    try:
        async with database.transaction() as tx:
            for statement in empty:
                await tx.execute(statement)
        yield database
    finally:
        await database.close()
