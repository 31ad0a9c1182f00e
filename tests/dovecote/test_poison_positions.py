"""A poisoned event at each place of a batch: what stands before it and after it has its effect, once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from uuid import UUID, uuid4

import pytest

from dovecote.database import Database
from dovecote.kafka import Message
from ecom.local import Servers
from tests.dovecote.conftest import new_database
from tests.dovecote.echo import EchoBench, Ping, fresh, prepared
from tests.dovecote.poison import envelope

SIZE = 9
NUMBER = 100

Poison = Callable[[EchoBench], Message]


@pytest.fixture(scope="module")
async def database(embedded: Servers, sample_template: str) -> AsyncIterator[Database]:
    """One database for the module."""
    async with new_database(embedded.database_url, template=sample_template) as url, prepared(url) as database:
        yield database


@pytest.fixture
async def bench(database: Database) -> EchoBench:
    """The echo service with empty tables, whose handler breaks at one number."""
    bench = await fresh(database)
    bench.echo.broken = {NUMBER}
    return bench


def wrapped(payload: str, event_type: str = Ping.EVENT) -> Poison:
    """An envelope of its own around this payload."""
    return lambda bench: bench.raw(Ping.EVENT, envelope(payload, event_type=event_type))


POISONS: dict[str, tuple[Poison, str, str]] = {
    "no event": (wrapped("{"), "DEAD", ""),
    "unfit payload": (wrapped('{"n": "seven"}'), "DEAD", "DEAD"),
    "unknown type": (wrapped('{"n": 1}', "ping.lost.v1"), "DEAD", "DEAD"),
    "parked": (lambda bench: bench.message(Ping(n=NUMBER + 1, mood="park")), "PARKED", "PARKED"),
    "surprise": (lambda bench: bench.message(Ping(n=NUMBER)), "RETRYING", "PARKED"),
}


@pytest.mark.parametrize("kind", POISONS)
async def test_one_poisoned_event_at_each_place(bench: EchoBench, kind: str) -> None:
    """C7: whatever is wrong with it and wherever it stands, it alone is set aside, and the others keep their order."""
    make, status, verdict = POISONS[kind]
    for place in range(SIZE):
        before = len(await bench.effects()), len(await bench.letters())
        good = [bench.message(Ping(n=n)) for n in range(SIZE - 1)]
        poison = make(bench)
        await bench.deliver(*good[:place], poison, *good[place:])
        assert (await bench.effects())[before[0] :] == list(range(SIZE - 1))
        (letter,) = (await bench.letters())[before[1] :]
        assert (letter.offset, letter.value, letter.status) == (poison.offset, poison.value, status)
        outcomes = {row["event_id"]: row["outcome"] for row in await bench.inbox()}
        assert outcomes.get(letter.event_id, "") == verdict


async def test_an_impostor_at_each_place(bench: EchoBench) -> None:
    """C18: another event under a known id is a dead letter wherever it stands, before its like or after it."""
    for place in range(SIZE):
        event_id = uuid4()
        (original,) = await bench.deliver(bench.message(Ping(n=place), event_id=event_id))
        good = [bench.message(Ping(n=n)) for n in range(SIZE - 2)]
        impostor = bench.message(Ping(n=NUMBER), event_id=event_id)
        repeat = bench.raw(Ping.EVENT, original.value)
        before = len(await bench.effects())
        batch = [*good[:place], impostor, *good[place:]]
        await bench.deliver(*batch[:4], repeat, *batch[4:])
        assert (await bench.effects())[before:] == list(range(SIZE - 2))
        letter = (await bench.letters())[-1]
        assert (letter.offset, letter.status, len(await bench.letters())) == (impostor.offset, "DEAD", place + 1)
        assert letter.error == f"eventId {event_id} came before with other content."


async def test_nothing_but_poison(bench: EchoBench) -> None:
    """C7: a batch in which every event breaks the handler is nothing but letters, each tried for itself."""
    polled = await bench.deliver(*[Ping(n=NUMBER) for _ in range(SIZE)])
    assert await bench.effects() == []
    letters = await bench.letters()
    assert [letter.offset for letter in letters] == [message.offset for message in polled]
    assert {letter.status for letter in letters} == {"RETRYING"}
    assert len({letter.event_id for letter in letters if isinstance(letter.event_id, UUID)}) == SIZE
