"""What a dead letter rests on outlives it: its event's verdict, its count of tries, its place behind a migration."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest

from dovecote import cleanup
from dovecote.database import Database, Transaction
from dovecote.errors import DovecoteError, UnavailableError
from dovecote.settings import CleanupSettings
from dovecote.sql import Sql
from ecom.local import Servers
from tests.dovecote.conftest import new_database
from tests.dovecote.echo import EchoBench, Ping, Pong, fresh, plain, prepared

READ = Sql("SELECT n FROM effect")
FULL_DISK = """
    CREATE OR REPLACE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$;
    CREATE TRIGGER full_disk BEFORE INSERT ON dead_letter FOR EACH ROW EXECUTE FUNCTION no_space();
"""
AGE = Sql("UPDATE consumed_event_record SET consumed_at = consumed_at - interval '1 year'")


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


async def clean_after_a_year(bench: EchoBench) -> None:
    """Run the cleanup when every verdict is far past its retention."""
    await bench.database.fetch(AGE)
    await cleanup.clean(bench.database, CleanupSettings(dedup_retention=timedelta(days=31)))


async def test_an_impostor_is_still_known_after_a_year(bench: EchoBench) -> None:
    """C5, C18: an open letter keeps the verdict on its eventId: a redrive gives the id no second effect."""
    event_id = uuid4()
    await bench.deliver(bench.message(Pong(n=1), event_id=event_id))
    await bench.deliver(bench.message(Pong(n=2), event_id=event_id))
    (letter,) = await bench.letters()
    await clean_after_a_year(bench)
    assert await bench.redrive.one(letter.id) == "DEAD"
    assert await bench.effects() == [1]


async def test_a_verdict_goes_when_no_letter_needs_it(bench: EchoBench) -> None:
    """Old verdicts go, that of a parked event when its letter is done."""
    await bench.deliver(Ping(n=1), Ping(n=2, mood="park"))
    (letter,) = await bench.letters()
    await clean_after_a_year(bench)
    assert [row["event_id"] for row in await bench.inbox()] == [letter.event_id]
    await bench.database.fetch(Sql("UPDATE dead_letter SET status = 'DONE'"))
    await clean_after_a_year(bench)
    assert await bench.inbox() == []


async def test_a_try_that_its_handler_calls_off_counts_nothing(bench: EchoBench) -> None:
    """Rule 12: an error that a handler raises as retriable is the environment's, in the retry job too."""

    class ForgottenMeanwhile(DovecoteError):
        retriable = True

    async def call_off(_tx: Transaction) -> None:
        raise ForgottenMeanwhile("It was cleaned up in this moment.")

    bench.echo.broken = {1}
    await bench.deliver(Ping(n=1))
    bench.echo.broken, bench.echo.meanwhile = set(), call_off
    with pytest.raises(ForgottenMeanwhile):
        await bench.redrive.due()
    (letter,) = await bench.letters()
    assert (letter.status, letter.attempts) == ("RETRYING", 1)
    bench.echo.meanwhile = None
    assert await bench.redrive.due() == 1
    assert await bench.effects() == [1]


async def test_a_table_altered_under_a_running_consumer_is_not_the_events_fault(bench: EchoBench, url: str) -> None:
    """C10: a migration spoils prepared statements; the batch is repeated and nothing is set aside."""

    async def read(tx: Transaction) -> None:
        await tx.fetch(READ)

    bench.echo.meanwhile = read
    await bench.deliver(Ping(n=1))
    async with plain(url) as migration:
        await migration.execute("ALTER TABLE effect ALTER COLUMN n TYPE numeric")
    polled = [bench.message(Ping(n=2))]
    try:
        with pytest.raises(UnavailableError):
            await bench.deliver(*polled)
        assert await bench.letters() == []
        await bench.deliver(*polled)
        assert await bench.effects() == [1, 2]
    finally:
        async with plain(url) as migration:
            await migration.execute("ALTER TABLE effect ALTER COLUMN n TYPE bigint")


async def test_a_letter_that_cannot_be_written_keeps_the_batch(bench: EchoBench, url: str) -> None:
    """C8: with no room for a letter the delivery fails, so the offset stays; later every effect and letter is there."""
    bench.echo.broken = {3}
    polled = [bench.message(Ping(n=1)), bench.raw(Ping.EVENT, b"{"), bench.message(Ping(n=2)), bench.message(Ping(n=3))]
    async with plain(url) as operator:
        await operator.execute(FULL_DISK)
        try:
            with pytest.raises(UnavailableError, match="no space left"):
                await bench.deliver(*polled)
            assert (await bench.effects(), len(await bench.inbox())) == ([1], 1), "what stood before it, and no more"
            with pytest.raises(UnavailableError, match="no space left"):
                await bench.deliver(polled[3])
            assert (await bench.effects(), await bench.letters()) == ([1], [])
        finally:
            await operator.execute("DROP TRIGGER full_disk ON dead_letter")
    await bench.deliver(*polled)
    assert await bench.effects() == [1, 2]
    assert [letter.offset for letter in await bench.letters()] == [polled[1].offset, polled[3].offset]
