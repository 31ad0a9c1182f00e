"""The simulated loop: its time moves when the scheduler moves it, and for no other reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.loop import SimulatedLoop


class Scheduler:
    """Lets something else happen first, and then moves time."""

    waits_for_io = False

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self.happened: list[str] = []

    def idle(self) -> None:
        due = self._loop.next_timer()
        assert due is not None
        if self.happened:
            self.happened.append("time")
            self._loop.advance(due + 0.001)
        else:
            self._loop.call_soon(self.happened.append, "turn")


@pytest.fixture
def loop() -> Iterator[SimulatedLoop]:
    """A loop of which nobody else knows."""
    loop = SimulatedLoop()
    yield loop
    loop.close()


def test_the_shortest_wait_takes_time(loop: SimulatedLoop) -> None:
    """Seed 4743: a relay waited for what rounding had left of a wait, was woken in the same moment, and so for ever."""
    scheduler = Scheduler(loop)
    loop.obey(scheduler)
    loop.advance(28.002)
    until = loop.time() + 4e-15  # the next number there is
    assert until > loop.time()
    woken = loop.create_future()
    loop.call_later(until - loop.time(), woken.set_result, None)
    loop.run_until_complete(woken)
    assert loop.time() > until
    assert scheduler.happened == ["turn", "time"]
