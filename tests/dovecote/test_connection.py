"""BEGIN travels with the first statement of a transaction, and whatever becomes of that, the next one is not misled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from dovecote.connection import Connection

XACT = "SELECT pg_current_xact_id()::text"
WRITE = "INSERT INTO note VALUES ($1)"
NOTES = "SELECT n FROM note ORDER BY n"


@pytest.fixture
async def connection(empty_database_url: str) -> AsyncIterator[Connection]:
    """A session with a table of its own."""
    connection = await asyncpg.connect(empty_database_url, connection_class=Connection)
    try:
        await connection.execute("CREATE TABLE note (n int PRIMARY KEY)")
        yield connection
    finally:
        await connection.close()


async def notes(connection: Connection) -> list[int]:
    """What is written."""
    return [row["n"] for row in await connection.fetch(NOTES)]


async def test_a_transaction_is_a_round_trip_shorter(connection: Connection) -> None:
    """Two statements and a COMMIT are three, in one transaction, which is the session's until its end and not after."""
    await connection.fetchval(XACT)
    before = connection._protocol.queries_count
    async with connection.transaction():
        first = await connection.fetchval(XACT)
        assert connection.is_in_transaction()
        assert await connection.fetchval(XACT) == first
    assert connection._protocol.queries_count - before == 3
    assert not connection.is_in_transaction()
    assert await connection.fetchval(XACT) != first


async def test_a_transaction_without_a_statement_asks_nothing(connection: Connection) -> None:
    """Neither at its end nor where its block raises."""
    before = connection._protocol.queries_count
    async with connection.transaction():
        pass
    with pytest.raises(KeyError):
        async with connection.transaction():
            raise KeyError
    assert connection._protocol.queries_count == before
    await connection.execute(WRITE, 1)
    assert await notes(connection) == [1], "and what follows stands alone"


@pytest.mark.parametrize("bad", [2**40, 1, "text"], ids=["refused by the driver", "refused by the server", "no number"])
async def test_a_first_statement_that_fails_rolls_back(connection: Connection, bad: object) -> None:
    """The error is its own, nothing is left of the transaction, and the session works on."""
    await connection.execute(WRITE, 1)
    with pytest.raises((asyncpg.DataError, asyncpg.UniqueViolationError)):
        async with connection.transaction():
            await connection.execute(WRITE, bad)
    assert not connection.is_in_transaction()
    async with connection.transaction():
        await connection.execute(WRITE, 2)
    assert await notes(connection) == [1, 2]


async def test_a_transaction_goes_on_behind_what_the_driver_refused(connection: Connection) -> None:
    """BEGIN was on its way already: it is begun, and a statement that was never prepared comes next."""
    with pytest.raises(KeyError):
        async with connection.transaction():
            with pytest.raises(asyncpg.DataError):
                await connection.execute(WRITE, 2**40)
            await connection.execute("INSERT INTO note SELECT $1::int + 1", 1)
            assert connection.is_in_transaction()
            assert await notes(connection) == [2]
            raise KeyError
    assert await notes(connection) == []


async def test_a_statement_that_cannot_be_prepared_begins_nothing(connection: Connection) -> None:
    """The transaction ends as if it had begun."""
    with pytest.raises(asyncpg.UndefinedTableError):
        async with connection.transaction():
            await connection.fetch("SELECT * FROM nowhere WHERE n = $1", 1)
    assert not connection.is_in_transaction()
    assert await notes(connection) == []


async def test_simple_statements_savepoints_and_levels_begin_too(connection: Connection) -> None:
    """Whatever comes first begins the transaction; a level that is asked for is the transaction's."""
    async with connection.transaction():
        await connection.execute("INSERT INTO note VALUES (1); INSERT INTO note VALUES (2)")
        assert connection.is_in_transaction()
        with pytest.raises(KeyError):
            async with connection.transaction():
                await connection.execute(WRITE, 3)
                raise KeyError
    async with connection.transaction(), connection.transaction():
        await connection.execute(WRITE, 4)
    async with connection.transaction(isolation="serializable"):
        assert await connection.fetchval("SHOW transaction_isolation") == "serializable"
    async with connection.transaction():
        assert await connection.fetchval("SHOW transaction_isolation") == "read committed"
    assert await notes(connection) == [1, 2, 4]


async def test_a_first_statement_that_is_cancelled_leaves_nothing(connection: Connection) -> None:
    """The session waits for the cancellation, rolls back, and is as good as new."""

    async def sleeps() -> None:
        async with connection.transaction():
            await connection.execute("INSERT INTO note SELECT $1::int FROM pg_sleep(20)", 1)

    task = asyncio.create_task(sleeps())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with connection.transaction():
        await connection.execute(WRITE, 2)
    assert await notes(connection) == [2]
