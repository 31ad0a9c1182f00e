"""The simulator finds every bug that was made on purpose, and nothing where there is none."""

from __future__ import annotations

from tests.simulation import command
from tests.simulation.bugs import BUGS, found

# The rows that issue 6 names.
ROWS = (
    "O1 O2 O4 O5 O7 O14 O17 C1 C2 C3 C4 C6 C7 C9 C10 C18 C19 G1 G2 G3 G4 G5 G6 G7 G8 G11 G12 G16 G18 G20 G21 G24 G25"
).split()
# How far from the seed on the page: a change of the code under it moves what a seed does.
AROUND = 60


def test_every_row_has_its_bug() -> None:
    """Each rule that must be broken on purpose is, and the page says of each that it was found."""
    assert set(ROWS) <= set(BUGS)
    assert set(found.seeds()) == set(BUGS)


async def test_every_bug_is_found_again() -> None:
    """From the seed on that found it before, the simulator finds each bug within a few seeds."""
    seeds = found.seeds()
    hunted = await command.hunt([(row, seeds[row]) for row in BUGS], seeds_max=AROUND, jobs=2)
    assert [one.row for one in hunted if one.seed is None] == []
    assert len(hunted) == len(BUGS)
