"""A seed is a run: its trace is the same in every process that begins with it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.simulation.command import Process
from tests.simulation.server import own_server

SEED, OTHER = 7, 5


async def _digests(url: str, number: int, seeds: Sequence[int]) -> list[str]:
    async with Process.started(url, number) as process:
        return [report.digest async for report in process.runs(seeds=seeds)]


@pytest.mark.timeout(600)
async def test_the_same_seeds_are_the_same_runs_in_every_process() -> None:
    """Two processes that begin with the same seed see the same; another seed is another run.

    What a process ran before may still tell in a later seed (docs/simulation.md), so each begins anew.
    """
    async with own_server() as url:
        [first] = await _digests(url, 1, [SEED])
        [elsewhere] = await _digests(url, 2, [SEED])
        [other] = await _digests(url, 3, [OTHER])
    assert first == elsewhere
    assert first != other
