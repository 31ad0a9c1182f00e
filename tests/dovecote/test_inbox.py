"""One verdict per event and group: repeats, twins, impostors, and two groups that hear the same event."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from dovecote.database import Database, Transaction
from dovecote.delivery import Courier, RetryPolicy
from dovecote.reading import Reader, runs
from dovecote.sql import Sql
from dovecote.testing import eventually
from ecom.local import Servers
from tests.dovecote.conftest import new_database
from tests.dovecote.echo import NAME, Echo, EchoBench, Ping, Pong, fresh, prepared, repeats

BLOCKED = Sql("""
    SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock'
""")


@pytest.fixture(scope="module")
async def database(embedded: Servers, sample_template: str) -> AsyncIterator[Database]:
    """One database for the module."""
    async with new_database(embedded.database_url, template=sample_template) as url, prepared(url) as database:
        yield database


@pytest.fixture
async def bench(database: Database) -> EchoBench:
    """The echo service with empty tables."""
    return await fresh(database)


async def test_a_repeat_inside_a_batch_has_one_effect(bench: EchoBench) -> None:
    """The same event three times in one poll, at different offsets, is handled once and is no dead letter."""
    first = bench.message(Ping(n=1))
    again, once_more = (bench.raw(first.topic, first.value) for _ in range(2))
    await bench.deliver(first, again, bench.message(Ping(n=2)), once_more)
    assert bench.echo.calls == [(Ping.EVENT, [1, 2])]
    assert await bench.effects() == [1, 2]
    assert await bench.letters() == []


async def test_a_repeat_in_a_later_batch_has_one_effect(bench: EchoBench) -> None:
    """A redelivered batch (same offsets) and a resent event (another offset) are repeats, and are counted."""
    before = repeats(NAME)
    polled = await bench.deliver(*[Ping(n=n) for n in range(10)])
    await bench.deliver(*polled)
    await bench.deliver(bench.raw(Ping.EVENT, polled[3].value), Ping(n=10))
    assert bench.echo.calls == [(Ping.EVENT, list(range(10))), (Ping.EVENT, [10])]
    assert await bench.effects() == list(range(11))
    assert repeats(NAME) - before == 11


async def test_a_batch_of_nothing_but_repeats_does_not_call_the_handler(bench: EchoBench) -> None:
    """A handler is never handed an empty batch."""
    polled = await bench.deliver(Ping(n=1))
    await bench.deliver(*polled)
    assert len(bench.echo.calls) == 1


async def test_another_event_under_a_known_id_is_a_dead_letter(bench: EchoBench) -> None:
    """C18: an eventId that came before with other content is never silently dropped as a repeat."""
    event_id = uuid4()
    await bench.deliver(bench.message(Ping(n=1), event_id=event_id))
    impostor = bench.message(Ping(n=2), event_id=event_id)
    await bench.deliver(impostor)
    await bench.deliver(impostor)
    assert await bench.effects() == [1]
    (letter,) = await bench.letters()
    assert (letter.status, letter.event_id, letter.value) == ("DEAD", event_id, impostor.value)
    assert letter.error == f"eventId {event_id} came before with other content."
    assert [row["outcome"] for row in await bench.inbox()] == ["PROCESSED"]


async def test_another_event_under_an_id_of_the_same_batch_is_a_dead_letter(bench: EchoBench) -> None:
    """C18 inside one batch: the first in the log is the event, the other the impostor."""
    event_id = uuid4()
    await bench.deliver(*[bench.message(Ping(n=n), event_id=event_id) for n in (1, 2)], bench.message(Ping(n=3)))
    assert await bench.effects() == [1, 3]
    assert [(letter.status, letter.offset) for letter in await bench.letters()] == [("DEAD", 2)]


async def test_two_groups_each_have_their_own_verdict(bench: EchoBench) -> None:
    """C4: the inbox's key is (group, event): one event has one effect in each of two groups on one database."""
    other = Courier(bench.database, group="other-service", policy=RetryPolicy())
    polled = await bench.deliver(Pong(n=1), Pong(n=2))
    for _ in range(2):
        for run in runs(map(bench.reader.read, polled)):
            await other.deliver(run)
    assert await bench.effects() == [1, 2, 1, 2]
    inbox = await bench.inbox()
    assert {row["consumer_group"] for row in inbox} == {NAME, "other-service"}
    assert len(inbox) == 4


async def test_twins_at_the_same_time_have_one_effect(bench: EchoBench) -> None:
    """C2, C3: a zombie's transaction and its successor's hold one event at once; the second waits and drops it."""
    entered, leave = asyncio.Event(), asyncio.Event()

    async def linger(_tx: Transaction) -> None:
        entered.set()
        await leave.wait()

    bench.echo.meanwhile = linger
    message = bench.message(Ping(n=1))
    zombie = asyncio.create_task(bench.deliver(message))
    await entered.wait()
    successor_echo = Echo()
    successor = Courier(bench.database, group=NAME, policy=RetryPolicy())
    # The successor runs in a process of its own in life: here its lane must not be the zombie's.
    bench.database._lanes["consumer"] = asyncio.Semaphore(2)
    (run,) = runs([Reader(successor_echo.handlers, value_bytes_max=1_000_000).read(message)])
    second = asyncio.create_task(successor.deliver(run))
    await eventually(lambda: bench.database.fetchval(BLOCKED), what="the second waits for the first")
    assert successor_echo.calls == []
    leave.set()
    await asyncio.gather(zombie, second)
    assert await bench.effects() == [1]
    assert successor_echo.calls == []


async def test_overlapping_batches_in_any_order_never_deadlock(bench: EchoBench) -> None:
    """Rule 11: two members with the same events in different orders insert them sorted: no deadlock, one effect."""
    events = [bench.message(Ping(n=n)) for n in range(200)]
    bench.database._lanes["consumer"] = asyncio.Semaphore(4)
    source = random.Random(11)
    for start in range(0, 200, 40):
        part = events[start : start + 40]
        shuffled = [source.sample(part, len(part)) for _ in range(4)]
        await asyncio.gather(*[bench.deliver(*order) for order in shuffled])
    assert sorted(await bench.effects()) == list(range(200))
    assert await bench.letters() == []
