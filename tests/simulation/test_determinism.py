"""A seed is a run: its trace is the same in every process, and whatever the process ran before."""

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
async def test_a_seed_is_the_same_run_everywhere() -> None:
    """Twice in one process, after another seed, and in a process of its own; another seed is another run."""
    async with own_server() as url:
        first, again, other, after = await _digests(url, 1, [SEED, SEED, OTHER, SEED])
        [elsewhere] = await _digests(url, 2, [SEED])
    assert first == again == after == elsewhere
    assert first != other
