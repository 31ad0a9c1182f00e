"""Where pg_trgm lives is the database's affair: search uses it there, and a schema that is dropped leaves it."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from dovecote.contracts import Contracts
from dovecote.database import Database, Voice
from dovecote.migrate import drop, may_create_roles, migrate
from ecom.contracts import CONTRACTS
from ecom.search.postgres import PostgresIndex
from ecom.search.service import NAME, build
from tests.search.stories import found, product, shelve


@pytest.mark.parametrize("place", ["public", "elsewhere"])
async def test_slips_are_forgiven_wherever_pg_trgm_lives(empty_database_url: str, prefix: str, place: str) -> None:
    """Installed by another in a schema of its own, or by the migration: used by the service's role, kept at a drop."""
    connection = await asyncpg.connect(empty_database_url)
    schema = f"{prefix}search_service"
    role = schema if may_create_roles(empty_database_url) else None
    try:
        if place != "public":
            await connection.execute(f"CREATE SCHEMA {place}")
            await connection.execute(f"CREATE EXTENSION pg_trgm SCHEMA {place}")
        await asyncio.to_thread(
            migrate, empty_database_url, schema=schema, folders=[build({}).blueprint.migrations], role=role
        )
        voice = Voice(NAME, Contracts.load(CONTRACTS), {})
        database = await Database.connect(empty_database_url, schema=schema, voice=voice, role=role)
        try:
            await shelve(database, PostgresIndex(), product("1", "Strawberry jam"))
            assert await found(database, PostgresIndex(), "starwberyr") == ["1"]
        finally:
            await database.close()
        await asyncio.to_thread(drop, empty_database_url, schema=schema, role=role)
        kept = "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'pg_trgm'"
        assert await connection.fetchval(kept) == place
    finally:
        await connection.close()
