"""The simulator finds every bug that was made on purpose, and nothing where there is none."""

from __future__ import annotations

import pytest

from tests.simulation import command
from tests.simulation.bugs import BUGS, found

# The rows that issue 6 names.
ROWS = {
    *(f"O{number}" for number in (1, 2, 4, 5, 7, 14, 17)),
    *(f"C{number}" for number in (1, 2, 3, 4, 6, 7, 9, 10, 18, 19)),
    *(f"G{number}" for number in (*range(1, 9), 11, 12, 16, 18, 20, 21, 24, 25)),
}
# How far from the seed on the page: a change of the code under it moves what a seed does.
AROUND = 20
FOUND_MIN = 30


def test_every_row_has_its_bug() -> None:
    """Each rule that must be broken on purpose is, and the page knows each bug that was found."""
    assert set(BUGS) >= ROWS
    assert set(found.seeds()) <= set(BUGS)
    assert len(found.seeds()) >= FOUND_MIN


@pytest.mark.timeout(1200)
async def test_bugs_are_found_again() -> None:
    """From the seed on that found it before, the simulator finds each bug within a few seeds."""
    seeds = found.seeds()
    hunted = await command.hunt(list(seeds.items()), seeds_max=AROUND, jobs=2)
    again = [one.row for one in hunted if one.seed is not None]
    assert len(again) >= FOUND_MIN, f"missed: {set(seeds) - set(again)}"
