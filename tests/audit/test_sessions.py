"""I22: what the server says of sessions, locks and deadlocks, with sessions that really do wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from dovecote.leadership import lock_key
from dovecote.testing import eventually
from ecom.audit import messaging_store, sessions
from ecom.audit.vitals import Vitals
from tests.audit.books import Books, sentence


@pytest.fixture
async def order_service(module_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A session that says it is the order service's."""
    connection = await asyncpg.connect(module_database_url, server_settings={"application_name": "order-service"})
    yield connection
    await connection.close()


async def test_a_session_that_sleeps_in_a_transaction_is_found(books: Books, order_service: asyncpg.Connection) -> None:
    """It has asked something, holds its transaction open and does nothing: at first that is no finding."""
    transaction = order_service.transaction()
    await transaction.start()
    await order_service.execute("SELECT 1")
    assert await books.places() == {}
    books.ahead = timedelta(seconds=6)
    places = await books.places()
    assert set(places) == {sentence(sessions.idle_in_transaction)}
    [row] = places[sentence(sessions.idle_in_transaction)]
    assert row.startswith(f"order-service, session {order_service.get_server_pid()}: ")
    await transaction.rollback()
    await books.connection.execute("SELECT pg_stat_clear_snapshot()")
    assert await books.places() == {}


async def test_a_relays_lock_without_office_is_found(books: Books, order_service: asyncpg.Connection) -> None:
    """A session holds the lock and is not the leader; it takes office and is; it stops beating and is not."""
    key = lock_key(books.services["order"].schema)
    await order_service.execute("SELECT pg_advisory_lock($1)", key)
    assert set(await books.places()) == {sentence(sessions.orphan_locks)}
    pid = order_service.get_server_pid()
    await books.run("order", f"INSERT INTO relay_leader VALUES (true, 1, {pid}, clock_timestamp())")
    assert await books.places() == {}
    await books.run("order", "UPDATE relay_leader SET beat_at = clock_timestamp() - interval '1 min'")
    assert set(await books.places()) == {sentence(sessions.orphan_locks)}


async def test_a_deadlock_between_two_looks_is_found(books: Books) -> None:
    """The counter grew; what it had counted before the first look may be anybody's."""
    now = (await books.evidence()).vitals[-1]
    first, second = Vitals(now.committed, {}, {"shop": 3}), Vitals(now.committed, {}, {"shop": 4})
    books.vitals = [first, first]
    assert await books.places() == {}
    books.vitals = [first, second]
    assert await books.places() == {sentence(sessions.deadlocked): ["database shop: 1 deadlocks"]}


async def test_the_servers_counter_counts_a_deadlock(books: Books, module_database_url: str) -> None:
    """Two sessions take two locks in opposite orders: one of them is ended, and the look after shows one more."""
    await books.connection.execute("SET stats_fetch_consistency = 'none'")
    (before,) = await books.services["order"].database.fetch(messaging_store.DEADLOCKS)
    pair = [await asyncpg.connect(module_database_url) for _ in range(2)]
    for number, connection in enumerate(pair):
        await connection.execute("SET deadlock_timeout = '10ms'; BEGIN")
        await connection.execute("SELECT pg_advisory_xact_lock($1)", 77 + number)
    waits = [pair[0].execute("SELECT pg_advisory_xact_lock(78)"), pair[1].execute("SELECT pg_advisory_xact_lock(77)")]
    errors = await asyncio.gather(*waits, return_exceptions=True)
    assert sorted(type(error).__name__ for error in errors) == ["DeadlockDetectedError", "str"]
    for connection in pair:
        await connection.close()

    async def counted() -> bool:
        (after,) = await books.services["order"].database.fetch(messaging_store.DEADLOCKS)
        return bool((after["place"], after["deadlocks"]) == (before["place"], before["deadlocks"] + 1))

    await eventually(counted)
