"""The environment is not the event: whatever the world does in mid-batch, the whole batch comes again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dovecote.database import Database, Transaction
from dovecote.errors import UnavailableError
from dovecote.kafka import Message
from dovecote.sql import Sql
from dovecote.testing import eventually
from ecom.local import Servers
from tests.dovecote.conftest import new_database
from tests.dovecote.echo import EchoBench, Echoed, Ping, fresh, plain, prepared
from tests.dovecote.own_servers import OwnServer, own_postgres

BACKEND = Sql("SELECT pg_backend_pid()")
ASLEEP_IN_COMMIT = Sql("""
    SELECT pid FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND wait_event IN ('SyncRep', 'PgSleep')
""")


@pytest.fixture(scope="module")
async def url(embedded: Servers, sample_template: str) -> AsyncIterator[str]:
    """One database for the module."""
    async with new_database(embedded.database_url, template=sample_template) as url:
        yield url


@pytest.fixture(scope="module")
async def database(url: str) -> AsyncIterator[Database]:
    """The service's database."""
    async with prepared(url) as database:
        yield database


@pytest.fixture
async def bench(database: Database) -> EchoBench:
    """The echo service with empty tables."""
    return await fresh(database)


async def nothing_is_left(bench: EchoBench) -> None:
    """No effect, no verdict, no letter, no event: as if the batch had never been tried."""
    assert await bench.effects() == []
    assert await bench.inbox() == []
    assert await bench.letters() == []
    assert await bench.published() == []


async def once_more(bench: EchoBench, polled: list[Message]) -> None:
    """The world is well again: the same batch has its effects, each once."""
    bench.echo.meanwhile = None
    await bench.deliver(*polled)
    assert await bench.effects() == list(range(len(polled)))
    assert len(await bench.published(Echoed.EVENT)) == len(polled)
    assert await bench.letters() == []


@pytest.mark.parametrize(
    "sqlstate",
    [
        "40001",
        "40P01",
        "08006",
        "53100",
        "53200",
        "53300",
        "57014",
        "57P01",
        "57P02",
        "57P03",
        "55P03",
        "25006",
        "58030",
    ],
)
async def test_a_state_of_the_server_is_never_the_events_fault(bench: EchoBench, sqlstate: str) -> None:
    """Rule 12: serialization, deadlock, full disk, shutdown, timeouts: raised for the whole batch, tried once."""

    async def fail(tx: Transaction) -> None:
        await tx.execute(Sql(f"DO $$ BEGIN RAISE 'the world failed' USING ERRCODE = '{sqlstate}'; END $$"))

    bench.echo.meanwhile = fail
    polled = [bench.message(Ping(n=n)) for n in range(8)]
    with pytest.raises(UnavailableError):
        await bench.deliver(*polled)
    assert len(bench.echo.calls) == 1, "the batch was not halved"
    await nothing_is_left(bench)
    await once_more(bench, polled)


@pytest.mark.parametrize("sqlstate", ["23505", "23514", "22P02", "42P01", "P0001", "XX000"])
async def test_a_state_that_speaks_of_the_data_is_the_events_fault(bench: EchoBench, sqlstate: str) -> None:
    """A broken constraint, a bad value, a missing table: waiting would never mend it, so it is set aside."""

    async def fail(tx: Transaction) -> None:
        await tx.execute(Sql(f"DO $$ BEGIN RAISE 'not like this' USING ERRCODE = '{sqlstate}'; END $$"))

    bench.echo.meanwhile = fail
    await bench.deliver(Ping(n=1))
    assert [letter.status for letter in await bench.letters()] == ["RETRYING"]


async def test_a_backend_that_is_terminated_repeats_the_batch(bench: EchoBench, url: str) -> None:
    """F4: the connection dies under the handler; the pool gives a living one to the next try."""

    async def terminate(tx: Transaction) -> None:
        mine = await tx.fetchval(BACKEND)
        async with plain(url) as saboteur:
            await saboteur.execute("SELECT pg_terminate_backend($1, 5000)", mine)
        await tx.fetchval(BACKEND)

    bench.echo.meanwhile = terminate
    polled = [bench.message(Ping(n=n)) for n in range(8)]
    with pytest.raises(UnavailableError):
        await bench.deliver(*polled)
    await nothing_is_left(bench)
    await once_more(bench, polled)


async def test_a_real_deadlock_repeats_the_batch(bench: EchoBench, url: str) -> None:
    """The handler and a stranger lock two things crosswise: PostgreSQL ends one, and no letter is written."""
    async with plain(url) as stranger:
        theirs = stranger.transaction()
        await theirs.start()
        await stranger.execute("SET LOCAL deadlock_timeout = '1h'")
        await stranger.execute("SELECT pg_advisory_xact_lock(2)")

        async def lock_crosswise(tx: Transaction) -> None:
            await tx.execute(Sql("SET LOCAL deadlock_timeout = '50ms'"))
            await tx.fetch(Sql("SELECT pg_advisory_xact_lock(1)"))
            crossing = asyncio.create_task(stranger.execute("SELECT pg_advisory_xact_lock(1)"))
            try:
                await tx.fetch(Sql("SELECT pg_advisory_xact_lock(2)"))
            finally:
                crossed.append(crossing)

        crossed: list[asyncio.Task[str]] = []
        bench.echo.meanwhile = lock_crosswise
        polled = [bench.message(Ping(n=n)) for n in range(8)]
        with pytest.raises(UnavailableError, match="DeadlockDetectedError"):
            await bench.deliver(*polled)
        await crossed[0]
        await theirs.rollback()
    await nothing_is_left(bench)
    await once_more(bench, polled)


async def test_a_statement_over_its_limit_repeats_the_batch(bench: EchoBench) -> None:
    """C12: a handler's statement that hangs is ended by the server's limit, rolled back and repeated."""

    async def hang(tx: Transaction) -> None:
        await tx.execute(Sql("SET LOCAL statement_timeout = '50ms'"))
        await tx.fetch(Sql("SELECT pg_sleep(60)"))

    bench.echo.meanwhile = hang
    polled = [bench.message(Ping(n=n)) for n in range(8)]
    with pytest.raises(UnavailableError):
        await bench.deliver(*polled)
    await nothing_is_left(bench)
    await once_more(bench, polled)


# -- a server of its own, to be hurt ------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def own_server() -> AsyncIterator[OwnServer]:
    """A PostgreSQL that may be restarted."""
    async with own_postgres() as server:
        yield server


@pytest.fixture
async def own_bench(own_server: OwnServer) -> AsyncIterator[EchoBench]:
    """The echo service on the server that may be restarted."""
    async with prepared(own_server.url) as database:
        yield await fresh(database)


async def test_a_commit_whose_answer_is_lost_is_decided_by_the_inbox(
    own_bench: EchoBench, own_server: OwnServer
) -> None:
    """C19: the backend dies after the commit is on disk and before the answer: the repeat finds repeats only."""
    async with plain(own_server.url) as saboteur:
        await saboteur.execute("SET synchronous_commit = 'local'")
        # A standby that never comes: a commit is durable, and its answer waits.
        await saboteur.execute("ALTER SYSTEM SET synchronous_standby_names = 'never'")
        await saboteur.execute("SELECT pg_reload_conf()")
        polled = [own_bench.message(Ping(n=n)) for n in range(8)]
        try:
            delivery = asyncio.create_task(own_bench.deliver(*polled))
            await end_sleeping_backend(saboteur)
            with pytest.raises(UnavailableError):
                await delivery
        finally:
            await saboteur.execute("ALTER SYSTEM RESET synchronous_standby_names")
            await saboteur.execute("SELECT pg_reload_conf()")
    assert await own_bench.effects() == list(range(8)), "the commit had happened"
    await once_more(own_bench, polled)
    assert len(own_bench.echo.calls) == 1


async def test_a_commit_that_dies_before_it_is_done_is_repeated(own_bench: EchoBench, own_server: OwnServer) -> None:
    """C19, the other way: the backend dies inside COMMIT before anything is durable: the repeat does the work."""
    async with plain(own_server.url) as saboteur:
        await saboteur.execute(
            "CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END'"
        )
        await saboteur.execute(
            "CREATE CONSTRAINT TRIGGER nap AFTER INSERT ON effect DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION nap()"
        )
        polled = [own_bench.message(Ping(n=n)) for n in range(8)]
        try:
            delivery = asyncio.create_task(own_bench.deliver(*polled))
            await end_sleeping_backend(saboteur)
            with pytest.raises(UnavailableError):
                await delivery
        finally:
            await saboteur.execute("DROP FUNCTION nap CASCADE")
    await nothing_is_left(own_bench)
    await once_more(own_bench, polled)


async def end_sleeping_backend(saboteur: Any) -> None:
    """Wait until a backend sleeps in its COMMIT, then terminate it."""

    async def sleeping() -> object:
        return await saboteur.fetchval(ASLEEP_IN_COMMIT.text)

    pid = await eventually(sleeping, what="a backend waits in COMMIT")
    await saboteur.execute("SELECT pg_terminate_backend($1, 5000)", pid)


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_a_server_that_goes_away_in_mid_batch_leaves_no_letter(
    own_bench: EchoBench, own_server: OwnServer, how: str
) -> None:
    """C10, I17: PostgreSQL stopped or killed under the handler and started again: the same batch, no dead letter."""

    async def restart(tx: Transaction) -> None:
        await own_server.restart(how)
        await tx.fetchval(BACKEND)

    own_bench.echo.meanwhile = restart
    polled = [own_bench.message(Ping(n=n)) for n in range(8)]
    with pytest.raises(UnavailableError):
        await own_bench.deliver(*polled)
    await nothing_is_left(own_bench)
    await once_more(own_bench, polled)
