"""The floor of the relay's scan, and when all that may still wait is looked at."""

from __future__ import annotations

import pytest

from dovecote.floor import SWEEP_REST, SWEEP_SECONDS, SWEEP_SECONDS_MAX, Floor


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
