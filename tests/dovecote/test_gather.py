"""Gathered calls: those that arrive together share one act, and one bad item hurts nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from dovecote.database import Database
from dovecote.errors import ContractError, DovecoteError, UnavailableError
from dovecote.gather import Gather
from dovecote.testing import eventually
from tests.dovecote import sample


class Doubler:
    """An act that doubles numbers; it notes its batches and can be held back."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.begun = asyncio.Event()

    async def __call__(self, items: Sequence[int]) -> Sequence[int | DovecoteError]:
        self.batches.append(list(items))
        self.begun.set()
        await self.open.wait()
        if 13 in items:
            raise ZeroDivisionError
        if 14 in items:
            raise UnavailableError("away")
        return [ContractError("no sevens") if item == 7 else item * 2 for item in items]


async def outcomes(gather: Gather[int, int], *items: int) -> list[int | BaseException]:
    """What each of several callers gets."""
    return await asyncio.gather(*(gather(item) for item in items), return_exceptions=True)


async def test_calls_that_arrive_during_an_act_share_the_next() -> None:
    """The first call acts alone at once; those that come meanwhile go together, each with its own answer."""
    act = Doubler()
    act.open.clear()
    gather = Gather(act)
    calls = [asyncio.create_task(gather(0))]
    await asyncio.wait_for(act.begun.wait(), 5)
    calls += [asyncio.create_task(gather(number)) for number in range(1, 6)]

    async def all_wait() -> bool:
        return len(gather._waiting) == 5

    await eventually(all_wait)
    act.open.set()
    assert await asyncio.gather(*calls) == [0, 2, 4, 6, 8, 10]
    assert act.batches == [[0], [1, 2, 3, 4, 5]]


async def test_an_act_has_a_bound() -> None:
    """No act gets more than batch_max items."""
    act = Doubler()
    assert await outcomes(Gather(act, batch_max=4), *range(10, 13), *range(20, 27)) == [
        2 * number for number in [*range(10, 13), *range(20, 27)]
    ]
    assert max(map(len, act.batches)) == 4


async def test_a_refusal_reaches_its_own_caller() -> None:
    """A DovecoteError in a slot is raised to that caller only; the act is not repeated."""
    act = Doubler()
    one, refused, other = await outcomes(Gather(act), 1, 7, 2)
    assert (one, other) == (2, 4)
    assert isinstance(refused, ContractError)
    assert len(act.batches) == 1


async def test_a_surprise_hurts_its_own_caller() -> None:
    """An act that raises is repeated item by item: the bad item's caller gets the error, the others their answers."""
    act = Doubler()
    one, bad, other = await outcomes(Gather(act), 1, 13, 2)
    assert (one, other) == (2, 4)
    assert isinstance(bad, ZeroDivisionError)
    assert act.batches == [[1, 13, 2], [1], [13], [2]]


async def test_the_environment_fails_all_at_once() -> None:
    """When the database is away nobody is asked item by item: all callers get the error that says so."""
    act = Doubler()
    assert [type(outcome) for outcome in await outcomes(Gather(act), 1, 14, 2)] == [UnavailableError] * 3
    assert len(act.batches) == 1


async def test_a_caller_that_leaves_disturbs_nobody() -> None:
    """A cancelled call (a client that hung up) leaves the act and the other callers alone."""
    act = Doubler()
    act.open.clear()
    gather = Gather(act)
    leaver, stayer = asyncio.create_task(gather(1)), asyncio.create_task(gather(2))
    await asyncio.wait_for(act.begun.wait(), 5)
    leaver.cancel()
    act.open.set()
    assert await stayer == 4
    with pytest.raises(asyncio.CancelledError):
        await leaver


async def test_an_act_that_owes_answers_is_an_error() -> None:
    """An act with fewer answers than items leaves no caller waiting for ever."""

    async def act(items: Sequence[int]) -> Sequence[int]:
        return [] if items[0] == 1 else items

    answers = await asyncio.wait_for(outcomes(Gather(act), 1, 2, 3), 5)
    assert isinstance(answers[0], RuntimeError)
    assert answers[1:] == [2, 3]


async def test_writes_that_arrive_together_share_a_transaction(notes: Database) -> None:
    """Fifty HTTP-like writes use few transactions, and a bad one takes back its own change only."""
    transactions = 0

    async def write(note_ids: Sequence[str]) -> Sequence[int]:
        nonlocal transactions
        transactions += 1
        async with notes.transaction() as tx:
            for note_id in note_ids:
                await sample.tell(tx, note_id)
                if note_id == "n13":
                    raise ZeroDivisionError
        return [1] * len(note_ids)

    gather = Gather(write)
    answers = await asyncio.gather(*(gather(f"n{number}") for number in range(50)), return_exceptions=True)
    assert [type(answer) for answer in answers].count(int) == 49
    assert transactions == 51
    told = {row["id"] for row in await notes.fetch(sample.NOTES_ALL)}
    assert told == {f"n{number}" for number in range(50)} - {"n13"}


async def test_as_many_acts_as_may_run_at_once() -> None:
    """The second act begins while the first is held; who comes then waits for either, and nobody is forgotten."""
    act = Doubler()
    act.open.clear()
    gather = Gather(act, at_once=2)
    calls = []
    for number in (1, 2, 3, 4):
        calls.append(asyncio.create_task(gather(number)))
        if number < 3:

            async def has_begun(count: int = number) -> bool:
                return len(act.batches) == count

            await eventually(has_begun)

    async def both_wait() -> bool:
        return len(gather._waiting) == 2

    await eventually(both_wait)
    assert act.batches == [[1], [2]]
    act.open.set()
    assert await asyncio.gather(*calls) == [2, 4, 6, 8]
    assert act.batches == [[1], [2], [3, 4]]
    assert await gather(5) == 10
