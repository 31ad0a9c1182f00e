"""What becomes of an event: handled once, set aside, or repeated with its whole batch because the world failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from msgspec.structs import replace

from dovecote.database import Database, Transaction
from ecom.local import Servers
from tests.dovecote.conftest import new_database
from tests.dovecote.echo import INSERT_EFFECTS, EchoBench, Echoed, Ping, Pong, fresh, prepared


@pytest.fixture(scope="module")
async def database(embedded: Servers, sample_template: str) -> AsyncIterator[Database]:
    """One database for the module."""
    async with new_database(embedded.database_url, template=sample_template) as url, prepared(url) as database:
        yield database


@pytest.fixture
async def bench(database: Database) -> EchoBench:
    """The echo service with empty tables."""
    return await fresh(database)


async def test_events_have_their_effect_and_their_answer_in_arrival_order(bench: EchoBench) -> None:
    """A batch of one type is one call of the handler; effects, outbox and inbox agree about it."""
    await bench.deliver(*[Ping(n=n) for n in range(50)])
    assert bench.echo.calls == [(Ping.EVENT, list(range(50)))]
    assert await bench.effects() == list(range(50))
    assert [one.payload["n"] for one in await bench.published(Echoed.EVENT)] == list(range(50))
    assert {(row["outcome"], row["event_type"]) for row in await bench.inbox()} == {("PROCESSED", Ping.EVENT)}


async def test_an_answer_carries_the_trace_of_its_cause(bench: EchoBench) -> None:
    """``because=delivery`` keeps a story's trace id, a foreign UUID included."""
    await bench.deliver(bench.message(Ping(n=1), trace_id="0b9d1c1e-3a4f-4d59-8b1f-000000000001"))
    (answer,) = await bench.published(Echoed.EVENT)
    assert answer.trace_id == "0b9d1c1e-3a4f-4d59-8b1f-000000000001"


async def test_a_parked_event_has_no_effect_and_its_neighbours_do(bench: EchoBench) -> None:
    """``tx.park`` makes a PARKED letter with the reason and a PARKED verdict; the rest of the batch goes on."""
    await bench.deliver(Ping(n=1), Ping(n=2, mood="park"), Ping(n=3))
    assert await bench.effects() == [1, 3]
    (letter,) = await bench.letters()
    assert (letter.status, letter.error, letter.event_type) == ("PARKED", "the handler said so", Ping.EVENT)
    assert [row["event_id"] for row in await bench.inbox() if row["outcome"] == "PARKED"] == [letter.event_id]


async def test_a_parked_event_that_comes_again_stays_parked(bench: EchoBench) -> None:
    """One verdict per event and group: a repeat of a parked event is a repeat."""
    polled = await bench.deliver(Ping(n=2, mood="park"))
    await bench.deliver(*polled)
    await bench.deliver(bench.raw(Ping.EVENT, polled[0].value))
    assert len(bench.echo.calls) == 1
    assert len(await bench.letters()) == 1


@pytest.mark.parametrize("guilty", [0, 1, 7, 14])
async def test_a_surprise_sets_aside_the_guilty_alone(bench: EchoBench, guilty: int) -> None:
    """The handler raises for one event of fifteen: bisected, that one is RETRYING, the others are handled once."""
    bench.echo.broken = {guilty}
    await bench.deliver(*[Ping(n=n) for n in range(15)])
    assert await bench.effects() == [n for n in range(15) if n != guilty]
    (letter,) = await bench.letters()
    assert (letter.status, letter.error, letter.attempts) == ("RETRYING", "ValueError: this number is broken", 1)
    assert letter.next_attempt_at is not None
    verdicts = {row["event_id"]: row["outcome"] for row in await bench.inbox()}
    assert verdicts.pop(letter.event_id) == "PARKED"
    assert set(verdicts.values()) == {"PROCESSED"}


async def test_several_surprises_in_a_batch_are_all_found(bench: EchoBench) -> None:
    """Guilty neighbours and both ends: each becomes a letter of its own, nobody else suffers."""
    bench.echo.broken = {0, 5, 6, 9}
    await bench.deliver(*[Ping(n=n) for n in range(10)])
    assert await bench.effects() == [1, 2, 3, 4, 7, 8]
    assert [letter.offset - 1 for letter in await bench.letters()] == [0, 5, 6, 9]


async def test_a_surprise_leaves_nothing_that_its_handler_wrote(bench: EchoBench) -> None:
    """The failing try's rows and events are rolled back: the letter is all that stays."""
    bench.echo.broken = {1}
    await bench.deliver(Ping(n=1))
    assert await bench.effects() == []
    assert await bench.published() == []
    assert [letter.status for letter in await bench.letters()] == ["RETRYING"]


async def test_a_value_that_no_column_takes_is_the_events_fault(bench: EchoBench) -> None:
    """A number beyond bigint fails in the driver; it is a surprise of that event, not a failing world."""
    await bench.deliver(Ping(n=1), Ping(n=10**18 * 90), Ping(n=3))
    assert await bench.effects() == [1, 3]
    assert [letter.status for letter in await bench.letters()] == ["RETRYING"]


async def test_a_wrong_call_of_the_driver_is_a_surprise(bench: EchoBench) -> None:
    """A handler's statement with an argument missing would fail for ever: the event is set aside, not waited for."""

    async def forget_an_argument(tx: Transaction) -> None:
        await tx.execute(INSERT_EFFECTS, Ping.EVENT)

    bench.echo.meanwhile = forget_an_argument
    await bench.deliver(Ping(n=1))
    (letter,) = await bench.letters()
    assert letter.status == "RETRYING"
    assert letter.error.startswith("InterfaceError: the server expects 3 arguments")


async def test_a_handlers_own_nonsense_in_an_error_can_be_stored(bench: EchoBench) -> None:
    """An error text that no text column takes (NUL, lone surrogates) does not keep the letter from being written."""

    async def nonsense(_tx: Transaction) -> None:
        raise LookupError("nul \x00 and half a pair \ud800")

    bench.echo.meanwhile = nonsense
    await bench.deliver(Ping(n=1))
    (letter,) = await bench.letters()
    assert letter.error == "LookupError: nul  and half a pair ?"


async def test_a_cancellation_of_the_handlers_own_is_a_surprise(bench: EchoBench) -> None:
    """A handler that cancels a task of its own and awaits it does not end the consumer; the letter says why."""

    async def cancel_and_await(_tx: Transaction) -> None:
        if 2 in bench.echo.calls[-1][1]:
            waiting = asyncio.create_task(asyncio.Event().wait())
            waiting.cancel()
            await waiting

    bench.echo.meanwhile = cancel_and_await
    await bench.deliver(*[Ping(n=n) for n in range(4)])
    assert await bench.effects() == [0, 1, 3]
    (letter,) = await bench.letters()
    assert letter.error == "RuntimeError: The handler let out a cancellation of its own making."
    assert await bench.redrive.one(letter.id) == "RETRYING"


async def test_a_cancellation_from_outside_is_obeyed(bench: EchoBench) -> None:
    """A stop that cancels the batch in hand rolls it back; nothing is set aside."""
    entered = asyncio.Event()

    async def linger(_tx: Transaction) -> None:
        entered.set()
        await asyncio.Event().wait()

    bench.echo.meanwhile = linger
    delivery = asyncio.create_task(bench.deliver(Ping(n=1)))
    await entered.wait()
    delivery.cancel()
    with pytest.raises(asyncio.CancelledError):
        await delivery
    assert await bench.effects() == []
    assert await bench.inbox() == []
    assert await bench.letters() == []


async def test_a_batch_of_mixed_types_is_split_and_keeps_the_order_of_its_topic(bench: EchoBench) -> None:
    """Types mixed on one topic: runs of one type, a transaction each, in the order of the log."""
    polled = [
        bench.raw("shared", bench.message(event).value)
        for event in (Ping(n=1), Ping(n=2), Pong(n=3), Ping(n=4), Pong(n=5), Pong(n=6))
    ]
    await bench.deliver(*polled)
    assert bench.echo.calls == [(Ping.EVENT, [1, 2]), (Pong.EVENT, [3]), (Ping.EVENT, [4]), (Pong.EVENT, [5, 6])]
    assert await bench.effects() == [1, 2, 3, 4, 5, 6]


async def test_topics_of_one_poll_are_batched_each_for_itself(bench: EchoBench) -> None:
    """Messages of two topics interleaved in a poll: each topic is one run."""
    await bench.deliver(Ping(n=1), Pong(n=2), Ping(n=3), Pong(n=4))
    assert bench.echo.calls == [(Ping.EVENT, [1, 3]), (Pong.EVENT, [2, 4])]


async def test_a_type_that_its_topic_should_not_carry_is_handled_as_its_type(bench: EchoBench) -> None:
    """The event type decides, not the topic (topics may be renamed); a type nobody here reads is a dead letter."""
    stray = bench.raw(Ping.EVENT, bench.message(Echoed(n=2)).value)
    await bench.deliver(bench.message(Ping(n=1)), stray, bench.message(Ping(n=3)))
    assert await bench.effects() == [1, 3]
    (letter,) = await bench.letters()
    assert (letter.status, letter.event_type, letter.value) == ("DEAD", Echoed.EVENT, stray.value)
    assert letter.error == "No handler of this service reads ping.echoed.v1."


async def test_verdicts_of_types_nobody_reads_name_their_own_type(bench: EchoBench) -> None:
    """Two unknown types in one run: each inbox row carries the type of its event."""
    first, second = (bench.raw("shared", bench.message(Ping(n=n)).value) for n in (1, 2))
    assert first.value is not None
    assert second.value is not None
    unknown = [
        replace(first, value=first.value.replace(b"ping.sent.v1", b"ping.sent.v9")),
        replace(second, value=second.value.replace(b"ping.sent.v1", b"ping.lost.v1")),
    ]
    await bench.deliver(*unknown)
    assert {(row["event_type"], row["outcome"]) for row in await bench.inbox()} == {
        ("ping.sent.v9", "DEAD"),
        ("ping.lost.v1", "DEAD"),
    }


async def test_parking_what_was_not_delivered_is_a_surprise(bench: EchoBench) -> None:
    """A handler that parks a delivery it kept from another batch does not stop the consumer."""

    async def park_a_stranger(tx: Transaction) -> None:
        tx.parked[uuid4()] = "a stranger"

    bench.echo.meanwhile = park_a_stranger
    await bench.deliver(Ping(n=1))
    assert [letter.status for letter in await bench.letters()] == ["RETRYING"]
