"""No seed breaks an invariant: as many seeds as CI has time for; the ledger has many more."""

from __future__ import annotations

import os

import pytest

from tests.simulation import command, ledger

SECONDS = 150.0
# The same seeds in every run of CI, so that it is red for a change and never by chance; new ones are the ledger's.
LAST = 300
SEEDS_MIN = 20  # fewer would say nothing, whatever the machine


@pytest.mark.timeout(900)
async def test_no_seed_breaks_an_invariant() -> None:
    """The first seeds, on every core, for as long as there is time."""
    summary = await command.simulate(1, LAST, jobs=os.cpu_count() or 1, seconds_max=SECONDS)
    assert {report.seed: report.violations for report in summary.wrong} == {}
    assert summary.seeds >= SEEDS_MIN
    assert summary.orders >= 3 * summary.seeds


def test_the_ledger_is_clean() -> None:
    """No seed of the book broke an invariant, and none was left out."""
    last = 0
    for entry in ledger.entries():
        assert (entry.first, entry.violations) == (last + 1, ()), entry.commit
        last = entry.last
