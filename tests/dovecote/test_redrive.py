"""Dead letters once more: by the job with patience, by operators in place, each event with one effect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from dovecote import deadletter
from dovecote.database import Database, Transaction
from dovecote.delivery import Courier, RetryPolicy
from dovecote.errors import UnavailableError
from dovecote.reading import runs
from dovecote.redrive import Redrive
from dovecote.sql import Sql
from ecom.local import Servers
from tests.dovecote.conftest import new_database
from tests.dovecote.echo import NAME, EchoBench, Echoed, Ping, fresh, plain, prepared
from tests.dovecote.poison import envelope

BACKEND = Sql("SELECT pg_backend_pid()")
PATIENT = RetryPolicy(attempts_max=5, first=timedelta(seconds=5), most=timedelta(minutes=10))


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
    """The echo service with empty tables; its retries wait for nothing."""
    return await fresh(database)


async def letter_of(bench: EchoBench, ping: Ping) -> int:
    """Deliver an event that is set aside; returns its letter's number."""
    await bench.deliver(ping)
    (letter,) = await bench.letters()
    return letter.id


async def status(bench: EchoBench, number: int) -> str:
    """A letter's status now."""
    found = await deadletter.letter(bench.database, number)
    assert found is not None
    return found.status


async def test_the_job_retries_until_the_cause_is_mended(bench: EchoBench) -> None:
    """A surprise that goes away: the letter is DONE, the effect and the answer are there once, the verdict is right."""
    bench.echo.broken = {7}
    number = await letter_of(bench, Ping(n=7))
    assert await bench.redrive.due() == 1
    assert await status(bench, number) == "RETRYING"
    bench.echo.broken.clear()
    assert await bench.redrive.due() == 1
    assert await status(bench, number) == "DONE"
    assert await bench.redrive.due() == 0
    assert await bench.effects() == [7]
    assert [one.payload["n"] for one in await bench.published(Echoed.EVENT)] == [7]
    assert [row["outcome"] for row in await bench.inbox()] == ["PROCESSED"]


async def test_a_surprise_that_stays_is_dead_after_its_tries(bench: EchoBench) -> None:
    """Five tries in all, the first of them the delivery: then DEAD in letter and inbox, and nobody tries again."""
    bench.echo.broken = {7}
    number = await letter_of(bench, Ping(n=7))
    for _ in range(4):
        assert await status(bench, number) == "RETRYING"
        assert await bench.redrive.due() == 1
    assert await status(bench, number) == "DEAD"
    assert await bench.redrive.due() == 0
    assert len(bench.echo.calls) == 5
    assert [row["outcome"] for row in await bench.inbox()] == ["DEAD"]
    assert [letter.attempts for letter in await bench.letters()] == [5]


async def test_a_try_is_not_due_before_its_backoff(bench: EchoBench) -> None:
    """The wait doubles from five seconds to ten minutes, by the database's clock; until then the job leaves it."""
    bench.echo.broken = {7}
    patient = Courier(bench.database, group=NAME, policy=PATIENT)
    (run,) = runs([bench.reader.read(bench.message(Ping(n=7)))])
    before = bench.database.now
    await patient.deliver(run)
    (letter,) = await bench.letters()
    assert letter.next_attempt_at is not None
    assert timedelta(seconds=4.9) < letter.next_attempt_at - before < timedelta(seconds=7)
    assert await Redrive(bench.database, bench.reader, group=NAME, policy=PATIENT).due() == 0
    waits = [PATIENT.wait(attempts).total_seconds() for attempts in (1, 2, 3, 4, 20)]
    assert waits == [5, 10, 20, 40, 600]


async def test_the_jobs_of_two_processes_never_try_one_letter_together(bench: EchoBench) -> None:
    """Letters are claimed one by one: two jobs at once share them, and each is tried once."""
    bench.echo.broken = set(range(20))
    await bench.deliver(*[Ping(n=n) for n in range(20)])
    bench.echo.broken.clear()
    bench.echo.calls.clear()
    shares = await asyncio.gather(bench.redrive.due(), bench.redrive.due())
    assert sum(shares) == 20
    assert sorted(await bench.effects()) == list(range(20))
    assert len(bench.echo.calls) == 20


async def test_an_operator_redrives_a_parked_event_in_place(bench: EchoBench) -> None:
    """PARKED again while the handler says so, with its newest reason; the letter stays open."""
    number = await letter_of(bench, Ping(n=3, mood="park"))
    assert await bench.redrive.one(number) == "PARKED"
    assert await status(bench, number) == "PARKED"
    assert await bench.effects() == []
    assert [row["outcome"] for row in await bench.inbox()] == ["PARKED"]


async def test_a_dead_letter_is_redriven_when_its_cause_is_mended(bench: EchoBench) -> None:
    """DEAD is not the end: the operator's redrive runs the handler on the stored bytes and the row is DONE."""
    bench.echo.broken = {7}
    number = await letter_of(bench, Ping(n=7))
    for _ in range(4):
        await bench.redrive.due()
    assert await bench.redrive.one(number) == "DEAD"
    bench.echo.broken.clear()
    assert await bench.redrive.one(number) == "DONE"
    assert await bench.redrive.one(number) == "DONE"
    assert await bench.effects() == [7]


async def test_two_operators_redrive_one_letter_with_one_effect(bench: EchoBench) -> None:
    """The second waits for the row's lock and finds it DONE: one effect, one answer."""
    bench.echo.broken = {7}
    number = await letter_of(bench, Ping(n=7))
    bench.echo.broken.clear()
    assert await asyncio.gather(bench.redrive.one(number), bench.redrive.one(number)) == ["DONE", "DONE"]
    assert await bench.effects() == [7]
    assert len(await bench.published(Echoed.EVENT)) == 1


async def test_a_redelivery_of_a_redriven_event_is_a_repeat(bench: EchoBench) -> None:
    """Kafka may still hand the message out again: it was handled, whoever handled it."""
    bench.echo.broken = {7}
    polled = await bench.deliver(Ping(n=7))
    bench.echo.broken.clear()
    (letter,) = await bench.letters()
    await bench.redrive.one(letter.id)
    await bench.deliver(*polled)
    assert await bench.effects() == [7]


async def test_unreadable_letters_stay_dead_and_say_why(bench: EchoBench) -> None:
    """A redrive of what cannot be read changes nothing; an unknown number is said to be unknown."""
    await bench.deliver(bench.raw(Ping.EVENT, b"not an event"), bench.raw(Ping.EVENT, envelope('{"n": "x"}')))
    for letter in await bench.letters():
        assert await bench.redrive.one(letter.id) == "DEAD"
    assert [letter.status for letter in await bench.letters()] == ["DEAD", "DEAD"]
    assert "Expected `int`, got `str`" in (await bench.letters())[1].error
    assert await bench.redrive.one(10**9) == "UNKNOWN"


async def test_an_impostor_never_gets_in_by_redrive(bench: EchoBench) -> None:
    """C18: the letter of an impostor stays DEAD, and the verdict on the real event stays PROCESSED."""
    real = bench.message(Ping(n=1))
    assert real.value is not None
    await bench.deliver(real, bench.raw(Ping.EVENT, real.value.replace(b'"n":1', b'"n":2')))
    (letter,) = await bench.letters()
    assert await bench.redrive.one(letter.id) == "DEAD"
    assert await bench.effects() == [1]
    assert [row["outcome"] for row in await bench.inbox()] == ["PROCESSED"]


async def test_a_redrive_that_the_environment_ends_counts_nothing(bench: EchoBench, url: str) -> None:
    """Rule 12: the backend dies in mid-try: the letter is as it was, due again, its attempts uncounted."""
    bench.echo.broken = {7}
    number = await letter_of(bench, Ping(n=7))
    bench.echo.broken.clear()
    await end_backends_in_handler(bench, url)
    with pytest.raises(UnavailableError):
        await bench.redrive.due()
    found = await deadletter.letter(bench.database, number)
    assert found is not None
    assert (found.status, found.attempts, found.error) == ("RETRYING", 1, "ValueError: this number is broken")
    bench.echo.meanwhile = None
    assert await bench.redrive.due() == 1
    assert await bench.effects() == [7]


async def test_a_letter_whose_tries_kill_the_process_is_dead_in_the_end(bench: EchoBench) -> None:
    """A try is counted before it is made: claimed, never finished, five times: DEAD without another try."""
    bench.echo.broken = {7}
    number = await letter_of(bench, Ping(n=7))
    bench.echo.calls.clear()
    for _ in range(4):
        async with bench.database.transaction() as tx:
            claimed = await tx.fetchrow(deadletter.CLAIM_DUE, NAME, tx.now, tx.now, [])
            assert claimed is not None
    assert await bench.redrive.due() == 1
    assert await status(bench, number) == "DEAD"
    assert bench.echo.calls == []
    assert [row["outcome"] for row in await bench.inbox()] == ["DEAD"]


async def end_backends_in_handler(bench: EchoBench, url: str) -> None:
    """Have the handler's own backend terminated while it works."""

    async def end(tx: Transaction) -> None:
        mine = await tx.fetchval(BACKEND)
        async with plain(url) as saboteur:
            await saboteur.execute("SELECT pg_terminate_backend($1, 5000)", mine)
        await tx.fetchval(BACKEND)

    bench.echo.meanwhile = end
