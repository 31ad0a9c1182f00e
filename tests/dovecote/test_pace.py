"""How large a batch may be: learnt from what batches cost, between twenty and a thousand."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecote.pace import BATCH_MAX, BATCH_MIN, LOOP_SECONDS, Metered, Pace, shares


def test_it_starts_in_the_middle() -> None:
    """Nothing is known yet: two hundred."""
    assert Pace().batch_max() == 200


@pytest.mark.parametrize(
    ("microseconds", "batch"), [(100, 200), (40, 500), (10, 1000), (1, 1000), (500, 40), (5000, 20)]
)
def test_it_settles_where_a_batch_costs_twenty_milliseconds(microseconds: int, batch: int) -> None:
    """Events of a steady cost: after a dozen batches the size is what fits, or a bound."""
    pace = Pace()
    for _ in range(12):
        pace.note(pace.batch_max(), pace.batch_max() * microseconds / 1e6)
    assert pace.batch_max() == pytest.approx(batch, rel=0.05)


def test_who_is_behind_takes_three_times_as_much() -> None:
    """Within the same bounds."""
    pace = Pace()
    assert pace.batch_max(behind=True) == 3 * pace.batch_max() == 600
    for _ in range(12):
        pace.note(pace.batch_max(), pace.batch_max() * 40e-6)
    assert pace.batch_max(behind=True) == BATCH_MAX


def test_one_costly_message_does_not_collapse_the_batch() -> None:
    """A single message says little about many: a lone one of 5 ms leaves most of the size."""
    pace = Pace()
    pace.note(1, 0.005)
    assert pace.batch_max() > 120


def test_it_recovers_after_an_expensive_hour() -> None:
    """Costs that fall again are believed as fast as costs that rose."""
    pace = Pace()
    for _ in range(12):
        pace.note(pace.batch_max(), pace.batch_max() * 0.002)
    assert pace.batch_max() == BATCH_MIN
    for _ in range(40):
        pace.note(pace.batch_max(), pace.batch_max() * 10e-6)
    assert pace.batch_max() == BATCH_MAX


@given(st.lists(st.tuples(st.integers(1, BATCH_MAX), st.floats(0, 60)), max_size=50))
def test_it_stays_within_its_bounds(batches: list[tuple[int, float]]) -> None:
    """Whatever is measured, a clock that stood still included: never none, never more than a thousand."""
    pace = Pace()
    for messages, seconds in batches:
        pace.note(messages, seconds)
        assert BATCH_MIN <= pace.batch_max() <= BATCH_MAX


@given(st.lists(st.integers(), max_size=200), st.integers(1, 60))
def test_shares_are_few_and_even(items: list[int], most: int) -> None:
    """Everything in order, in as few parts as there can be, none larger than allowed, none a crumb."""
    parts = [list(part) for part in shares(items, most)]
    assert [item for part in parts for item in part] == items
    assert len(parts) == -(-len(items) // most)
    sizes = [len(part) for part in parts]
    assert not sizes or (max(sizes) <= most and max(sizes) - min(sizes) <= 1)


async def test_a_meter_counts_work_and_not_waiting() -> None:
    """Fifty milliseconds of work around a wait for something else: the wait is not counted."""
    waited = asyncio.Event()

    async def work() -> str:
        burn(0.025)
        asyncio.get_running_loop().call_later(0.15, waited.set)
        await waited.wait()
        burn(0.025)
        return "done"

    metered = Metered(work())
    assert await metered == "done"
    assert 0.045 < metered.loop_seconds < 0.12


async def test_a_meter_lets_errors_and_cancellations_through() -> None:
    """What is raised inside comes out; a cancellation reaches the coroutine within, which may clean up."""

    async def fail() -> None:
        await asyncio.get_running_loop().run_in_executor(None, int, "7")
        raise LookupError("inside")

    with pytest.raises(LookupError, match="inside"):
        await Metered(fail())
    cleaned: list[bool] = []
    begun = asyncio.Event()

    async def wait_for_ever() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    async def metered() -> None:
        await Metered(wait_for_ever())

    task = asyncio.create_task(metered())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned == [True]


def burn(seconds: float) -> None:
    """Keep this thread's core busy for so long."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_the_aim_is_what_the_design_says() -> None:
    """About twenty milliseconds of event-loop time a batch."""
    assert LOOP_SECONDS == 0.020
