"""Migrations: once each, whoever runs them and however often; a role sees its own schema only."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from dovecote.errors import UnavailableError
from dovecote.migrate import drop, may_create_roles, migrate
from dovecote.sql import Sql
from tests.dovecote import sample

TABLES = Sql("SELECT count(*) FROM pg_tables WHERE schemaname = $1 AND tablename NOT LIKE '%yoyo%'")
OTHERS_NOTES = Sql("SELECT id FROM board.note")


async def apply(url: str, schema: str, role: str | None = None, folder: Path = sample.MIGRATIONS) -> int:
    """Run the migrations off the loop."""
    return await asyncio.to_thread(migrate, url, schema=schema, folders=[folder], role=role)


async def fetchval(url: str, statement: str, *args: object) -> object:
    """One value, as whoever the URL names."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement, *args)
    finally:
        await connection.close()


async def test_migrations_run_once(empty_database_url: str) -> None:
    """A second run applies nothing and changes nothing; a new file is applied alone."""
    first = await apply(empty_database_url, "notes")
    assert first >= 2, "the library's and the service's"
    tables = await fetchval(empty_database_url, TABLES.text, "notes")
    assert await apply(empty_database_url, "notes") == 0
    assert await fetchval(empty_database_url, TABLES.text, "notes") == tables


async def test_each_schema_keeps_its_own_count(empty_database_url: str) -> None:
    """Two services in one database are migrated independently."""
    assert await apply(empty_database_url, "notes") == await apply(empty_database_url, "board")
    assert await fetchval(empty_database_url, TABLES.text, "board") == await fetchval(
        empty_database_url, TABLES.text, "notes"
    )


async def test_concurrent_starts_migrate_once(empty_database_url: str) -> None:
    """Processes that start together wait for one another: each file is applied by exactly one of them."""
    counts = await asyncio.gather(
        *(apply(empty_database_url, schema) for schema in ("notes", "board", "notes", "board", "notes", "board"))
    )
    alone = await apply(empty_database_url, "later")
    assert sorted(counts) == [0, 0, 0, 0, alone, alone]


async def test_a_new_file_is_applied_and_a_broken_one_leaves_nothing(empty_database_url: str, tmp_path: Path) -> None:
    """A migration is all or nothing: after a broken one is mended, the next start goes on from there."""
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE first (id int);")
    await apply(empty_database_url, "notes", folder=tmp_path)
    second = tmp_path / "0002_second.sql"
    second.write_text("CREATE TABLE second (id int);\nCREATE TABLE third (id nonsense);")
    with pytest.raises(Exception, match="nonsense"):
        await apply(empty_database_url, "notes", folder=tmp_path)
    assert await fetchval(empty_database_url, "SELECT to_regclass('notes.second')") is None
    second.write_text("CREATE TABLE second (id int);")
    assert await apply(empty_database_url, "notes", folder=tmp_path) == 1
    assert await fetchval(empty_database_url, "SELECT to_regclass('notes.second')::text") == "notes.second"


async def test_an_absent_server_is_unavailable(port: int) -> None:
    """Nobody listens: one error that says so, and that trying again can help."""
    with pytest.raises(UnavailableError, match="cannot be migrated") as caught:
        await apply(f"postgresql://nobody:secret@127.0.0.1:{port}/none", "notes")
    assert caught.value.retriable


async def test_a_role_sees_its_own_schema_only(empty_database_url: str, prefix: str) -> None:
    """A service's sessions may use their tables, in every way they need, and may not even read another service's."""
    assert may_create_roles(empty_database_url)
    role, other = prefix + "notes", prefix + "board"
    for schema, name in (("notes", role), ("board", other)):
        await apply(empty_database_url, schema, role=name)
        await apply(empty_database_url, schema, role=name)
    try:
        async with sample.connected(empty_database_url, role=role) as database:
            async with database.transaction() as tx:
                await sample.tell(tx, "mine")
            assert await sample.statuses(database) == ["PENDING"]
            assert await database.fetchval(Sql("SELECT current_user::text")) == role
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await database.fetch(OTHERS_NOTES)
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await database.fetch(Sql("DROP TABLE note"))
    finally:
        for schema, name in (("notes", role), ("board", other)):
            await asyncio.to_thread(drop, empty_database_url, schema=schema, role=name)
    assert await fetchval(empty_database_url, "SELECT count(*) FROM pg_roles WHERE rolname LIKE $1", f"{prefix}%") == 0
