"""The floor of the relay's scan, and when all that may still wait is looked at."""

from __future__ import annotations

import pytest

from dovecote.floor import GAP_SECONDS, SWEEP_REST, SWEEP_SECONDS, SWEEP_SECONDS_MAX, Floor


@pytest.mark.parametrize(
    ("took", "rest"),
    [
        pytest.param(0.001, SWEEP_SECONDS, id="quick"),
        pytest.param(1.0, SWEEP_REST, id="far to go"),
        pytest.param(60.0, SWEEP_SECONDS_MAX, id="frozen while it swept"),  # seed 219 of the simulation
    ],
)
def test_a_sweep_comes_again_in_time(took: float, rest: float) -> None:
    """The longer a sweep took, the later the next one: but half a minute is the most that a replay waits."""
    floor = Floor()
    assert floor.sweep_is_due(5.0)
    floor.swept(5.0, seconds=took)
    assert not floor.sweep_is_due(5.0 + rest - 0.01)
    assert floor.sweep_is_due(5.0 + rest)


def test_a_scan_starts_behind_all_that_was_seen() -> None:
    """While ids become visible in their order, no scan walks what an earlier one has found."""
    floor = Floor()
    floor.saw(1.0, 1, [1, 2, 3])
    assert floor.start(1.0) == 4
    floor.saw(1.0, 4, [4])
    assert floor.start(1.0) == 5


def test_a_scan_starts_at_the_first_id_that_was_passed_over() -> None:
    """Two transactions that commit late are waited for where they would show, each until it does."""
    floor = Floor()
    floor.saw(1.0, 1, [1, 4, 5, 7])
    assert floor.start(1.0) == 2
    floor.saw(1.1, 2, [2, 3])
    assert floor.start(1.1) == 6
    floor.saw(1.2, 6, [6])
    assert floor.start(1.2) == 8


def test_an_id_that_shows_out_of_its_turn_hides_none_before_it() -> None:
    """Of three that were passed over the middle one comes first: the scan still starts before it."""
    floor = Floor()
    floor.saw(1.0, 1, [1, 5])
    floor.saw(1.0, 2, [3])
    assert floor.start(1.0) == 2


def test_an_id_that_never_shows_is_forgotten() -> None:
    """A transaction that was rolled back holds up the floor for a moment, and is looked at once more after it."""
    floor = Floor()
    floor.saw(1.0, 1, [1, 3])
    assert floor.start(1.0 + GAP_SECONDS) == 2
    assert floor.start(1.0 + GAP_SECONDS) == 4


def test_what_did_not_leave_is_looked_at_again() -> None:
    """Kafka refused two of what it was given: the next scan starts at the first of them."""
    floor = Floor()
    floor.saw(1.0, 1, [1, 2, 3, 4])
    floor.look_again(1.0, [4, 2])
    floor.look_again(1.0, [2])
    assert floor.start(1.0) == 2
    floor.saw(1.0, 2, [2])
    assert floor.start(1.0) == 3


def test_a_history_is_no_gap() -> None:
    """A new leader's first scan starts where the outbox is settled: what lies before it was never passed over."""
    floor = Floor()
    floor.saw(1.0, 5_000_000, [5_000_000])
    assert floor.start(1.0) == 5_000_001
