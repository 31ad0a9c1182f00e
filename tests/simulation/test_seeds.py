"""No seed breaks an invariant: as many seeds as CI has time for; the ledger has many more."""

from __future__ import annotations

import os

import pytest

from tests.simulation import command, ledger

SECONDS = 120.0
SEEDS_MIN = 30  # fewer would say nothing, whatever the machine
FOUND_AND_MENDED = {
    15: "an impostor before a genuine repeat in one batch made the repeat a dead letter (C18)",
}


@pytest.mark.timeout(600)
async def test_no_seed_breaks_an_invariant() -> None:
    """Seeds that nobody has run on this commit yet, for two minutes on every core."""
    first = ledger.next_seed()
    summary = await command.simulate(first, first + 100_000, jobs=os.cpu_count() or 1, seconds_max=SECONDS)
    assert {report.seed: report.violations for report in summary.wrong} == {}
    assert summary.seeds >= SEEDS_MIN
    assert summary.orders >= 3 * summary.seeds


async def test_what_seeds_have_found_stays_mended() -> None:
    """Seeds that once broke an invariant do so no more."""
    for seed in FOUND_AND_MENDED:
        summary = await command.simulate(seed, seed)
        assert (summary.seeds, summary.wrong) == (1, [])
