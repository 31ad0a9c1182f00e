"""Requests that meet under one Idempotency-Key: how one of them is held up in the middle, and what the others hear."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import httpx

from dovecote.database import Database
from dovecote.sql import Sql
from dovecote.testing import eventually

WAITING = Sql("""
    SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
""")


@contextlib.asynccontextmanager
async def another(database: Database, *, schema: str) -> AsyncIterator[Database]:
    """The same database as another process of the service sees it."""
    twin = await Database.connect(database._url, schema=schema, voice=database.voice)
    try:
        yield twin
    finally:
        await twin.close()


@contextlib.asynccontextmanager
async def stuck(database: Database, statement: str) -> AsyncIterator[asyncpg.Connection]:
    """Lock a table that a request writes after it has taken its key: who has the key keeps it, without an answer."""
    connection = await asyncpg.connect(database._url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(statement)
    try:
        yield connection
    finally:
        await transaction.rollback()
        await connection.close()


async def until_stuck(database: Database) -> int:
    """Wait until somebody is held up; says which session of the server that is."""

    async def there() -> bool:
        return bool(await database.fetch(WAITING))

    await eventually(there, what="a request is held up")
    return int((await database.fetch(WAITING))[0]["pid"])


async def insist(call: Callable[[], Awaitable[httpx.Response]]) -> list[httpx.Response]:
    """Ask again for as long as the first request runs; all that was answered."""
    answers = [await call()]
    while answers[-1].status_code == 409:
        answers.append(await call())
    return answers


def assert_in_use(answer: httpx.Response, field: str) -> None:
    """409 that says which key is meant and when to come again."""
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    assert (answer.json()["code"], answer.json()["field"]) == ("IDEMPOTENCY_KEY_IN_USE", field)
    assert int(answer.headers["Retry-After"]) > 0
