"""The count of tries: a batch that killed the process is taken apart, the message that did it is condemned."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from dovecote.database import Database
from dovecote.guard import TRIES_MAX, Guard
from dovecote.kafka import Message
from ecom.local import Servers
from tests.dovecote.conftest import new_database
from tests.dovecote.echo import NAME, EchoBench, Ping, fresh, prepared


@pytest.fixture(scope="module")
async def database(embedded: Servers, sample_template: str) -> AsyncIterator[Database]:
    """One database for the module."""
    async with new_database(embedded.database_url, template=sample_template) as url, prepared(url) as database:
        yield database


@pytest.fixture
async def bench(database: Database) -> EchoBench:
    """The echo service with empty tables."""
    return await fresh(database)


@pytest.fixture
def guard(bench: EchoBench) -> Guard:
    """The guard of a process that has just started."""
    return Guard(bench.database, NAME)


def at(offset: int, partition: int = 0) -> Message:
    """A message somewhere."""
    return Message("t", partition, offset, None, b"", ())


async def test_a_batch_is_suspect_after_its_tries(guard: Guard) -> None:
    """The same start noted again and again, with no progress between: suspect once it was tried three times."""
    for _ in range(TRIES_MAX):
        assert await guard.suspects([at(10), at(7, 1)]) == set()
    assert await guard.suspects([at(10), at(7, 1)]) == {("t", 0), ("t", 1)}


async def test_a_start_that_moved_was_survived(guard: Guard) -> None:
    """Progress of one partition clears it; the other partition's count goes on."""
    for _ in range(TRIES_MAX):
        await guard.suspects([at(10), at(7, 1)])
    assert await guard.suspects([at(11), at(7, 1)]) == {("t", 1)}
    assert await guard.suspects([at(11), at(7, 1)]) == {("t", 1)}


async def test_the_first_assignment_notes_nothing_for_nothing(guard: Guard) -> None:
    """Without a first message there is no statement to run."""
    assert await guard.suspects([]) == set()


async def test_the_message_in_hand_at_each_death_is_condemned(bench: EchoBench) -> None:
    """Each start walks the same batch, dies at offset 12, and finds the count of offset 12 where it left it."""
    for _ in range(TRIES_MAX):
        guard = Guard(bench.database, NAME)
        await guard.suspects([at(10)])
        for offset in (10, 11, 12):
            assert not await guard.deadly(at(offset))
    guard = Guard(bench.database, NAME)
    await guard.suspects([at(10)])
    assert [await guard.deadly(at(offset)) for offset in (10, 11, 12, 13)] == [False, False, True, False]


async def test_two_deadly_messages_are_condemned_one_after_the_other(bench: EchoBench) -> None:
    """Past the first condemned message the next one gets tries of its own, in the same batch."""
    guard = Guard(bench.database, NAME)
    condemned: list[int] = []
    for _ in range(2 * TRIES_MAX + 1):
        await guard.suspects([at(10)])
        for offset in range(10, 15):
            if await guard.deadly(at(offset)):
                condemned.append(offset)
            elif offset in {11, 13} and offset not in condemned:
                break
    assert condemned == [11, 13]


async def test_counts_of_an_old_batch_do_not_weigh_on_a_new_one(guard: Guard) -> None:
    """A new start forgets the messages noted before, even those at higher offsets (a topic made anew)."""
    await guard.suspects([at(100)])
    for _ in range(TRIES_MAX):
        await guard.deadly(at(105))
    await guard.suspects([at(5)])
    assert [await guard.deadly(at(5)) for _ in range(TRIES_MAX + 1)] == [False] * TRIES_MAX + [True]


async def test_groups_and_partitions_are_counted_apart(bench: EchoBench, guard: Guard) -> None:
    """Another group, another partition: another count."""
    other = Guard(bench.database, "other-service")
    for _ in range(TRIES_MAX):
        await guard.suspects([at(10)])
        await guard.deadly(at(10))
    assert await other.suspects([at(10)]) == set()
    assert await guard.suspects([at(10, 1)]) == set()
    assert not await other.deadly(at(10))
    assert not await guard.deadly(at(10, 1))


async def test_a_condemned_message_is_dead_in_letter_and_inbox(bench: EchoBench) -> None:
    """Condemned: kept with its bytes and the reason, DEAD in the inbox, never handled; an operator may redrive it."""
    message = bench.message(Ping(n=1))
    one = bench.reader.read(message)
    await bench.courier.condemn(one, "it kills")
    await bench.courier.condemn(one, "it kills")
    (letter,) = await bench.letters()
    assert (letter.status, letter.error, letter.value) == ("DEAD", "it kills", message.value)
    assert [row["outcome"] for row in await bench.inbox()] == ["DEAD"]
    await bench.deliver(message)
    assert bench.echo.calls == []
    assert await bench.redrive.one(letter.id) == "DONE"
    assert await bench.effects() == [1]
