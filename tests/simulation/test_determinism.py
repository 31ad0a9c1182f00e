"""A seed is a run: its trace is the same in every process, whatever ran before and runs beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.simulation.command import Process
from tests.simulation.server import own_server

SEEDS = (5, 7, 10, 45, 54)  # in each, several wait for one row, and one COMMIT lets them go


async def _digests(url: str, number: int, seeds: Sequence[int]) -> dict[int, str]:
    async with Process.started(url, number) as process:
        return {report.seed: report.digest async for report in process.runs(seeds=seeds)}


@pytest.mark.timeout(600)
async def test_a_seed_is_the_same_run_wherever_and_after_whatever() -> None:
    """Two processes beside each other run the same seeds in opposite orders, one of them each twice."""
    async with own_server() as url:
        first, elsewhere = await asyncio.gather(
            _digests(url, 1, SEEDS), _digests(url, 2, [seed for seed in reversed(SEEDS) for _ in range(2)])
        )
    assert first == elsewhere
    assert len(set(first.values())) == len(SEEDS)


@pytest.mark.timeout(600)
async def test_a_run_is_shown_where_that_is_wanted() -> None:
    """The trace of a run in which nothing went wrong is kept if asked for, and the run is the same one."""
    async with own_server() as url, Process.started(url, 1) as process:
        [plain] = [report async for report in process.runs(seeds=SEEDS[:1])]
        [shown] = [report async for report in process.runs(seeds=SEEDS[:1], is_shown=True)]
    assert not plain.violations
    assert plain.trace == ()
    assert len(shown.trace) > shown.steps / 2
    assert shown.digest == plain.digest
