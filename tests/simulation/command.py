"""Many runs on many processes: what `./ecom simulate` does, and what the tests use."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tests.simulation.server import own_server
from tests.simulation.worker import Report, Task

ROOT = Path(__file__).resolve().parents[2]
LINE_BYTES_MAX = 64 * 1024 * 1024


@dataclass(slots=True)
class Summary:
    """What came of all seeds."""

    seeds: int = 0
    orders: int = 0
    steps: int = 0
    seconds: float = 0.0
    last: int = 0  # every seed up to here was run
    digests: dict[int, str] = field(default_factory=dict)
    wrong: list[Report] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """One for the traces of all seeds up to the last, whichever process ran which."""
        together = "".join(digest for seed, digest in sorted(self.digests.items()) if seed <= self.last)
        return hashlib.blake2b(together.encode(), digest_size=8).hexdigest()

    @property
    def orders_per_minute(self) -> float:
        return 60 * self.orders / self.seconds if self.seconds else 0.0

    def note(self, report: Report) -> None:
        """Count one more run."""
        self.seeds += 1
        self.orders += report.orders
        self.steps += report.steps
        self.digests[report.seed] = report.digest
        while self.last + 1 in self.digests:
            self.last += 1
        if report.violations:
            self.wrong.append(report)


def core(number: int) -> int:
    """Where a process works: one after the other takes the next core."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[number % len(cores)]


class Process:
    """A worker process: takes tasks one after the other, and gives a report for each run."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, number: int) -> None:
        self._process = process
        self._url = url
        self._database = f"simulated_{number}"
        self._core = core(number)

    @classmethod
    @asynccontextmanager
    async def started(cls, url: str, number: int) -> AsyncIterator[Process]:
        """A process of its own database. The same seed is the same run everywhere, so hashes are the same too."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.simulation.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_BYTES_MAX,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
        try:
            yield cls(process, url, number)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def runs(
        self,
        *,
        seeds: Sequence[int] = (),
        span: tuple[int, int, int] = (1, 0, 1),
        bug: str = "",
        stop_at_violation: bool = False,
        is_shown: bool = False,
    ) -> AsyncIterator[Report]:
        """Do one task."""
        task = Task(self._url, self._database, self._core, tuple(seeds), span, bug, stop_at_violation, is_shown)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(task) + b"\n")
        await self._process.stdin.drain()
        while line := (await self._process.stdout.readline()).strip():
            yield msgspec.json.decode(line, type=Report)
        if self._process.stdout.at_eof():
            raise RuntimeError(f"A process of the simulation ended with {await self._process.wait()}.")


async def simulate(
    first: int,
    last: int,
    *,
    jobs: int = 1,
    is_shown: bool = False,
    seconds_max: float | None = None,
    told: Callable[[Report], None] = lambda _report: None,
) -> Summary:
    """Run seeds, dealt out over processes; ends early where the time is over."""
    summary = Summary(last=first - 1)

    async def work(url: str, job: int) -> None:
        async with Process.started(url, job) as process:
            async for report in process.runs(span=(first + job, last, jobs), is_shown=is_shown):
                summary.note(report)
                told(report)

    async with own_server() as url:
        began = time.monotonic()
        try:
            async with asyncio.timeout(seconds_max), asyncio.TaskGroup() as group:
                for job in range(jobs):
                    group.create_task(work(url, job))
        except TimeoutError:
            pass
        summary.seconds = time.monotonic() - began
    return summary


@dataclass(frozen=True, slots=True)
class Hunted:
    """A bug on purpose, the seed that found it (none did: None), after how many, and by which violation."""

    row: str
    seed: int | None
    tried: int
    by: str = ""


async def hunt(
    wanted: Sequence[tuple[str, int]],
    *,
    seeds_max: int,
    jobs: int = 1,
    told: Callable[[Hunted], None] = lambda _hunted: None,
) -> list[Hunted]:
    """Look for bugs, each from its own first seed on, until a seed finds it."""
    hunted: list[Hunted] = []
    left = list(reversed(wanted))

    async def work(url: str, job: int) -> None:
        async with Process.started(url, job) as process:
            while left:
                row, first = left.pop()
                tried, found = 0, None
                async for report in process.runs(
                    span=(first, first + seeds_max - 1, 1), bug=row, stop_at_violation=True
                ):
                    tried += 1
                    found = report if report.violations else None
                one = Hunted(row, found.seed, tried, found.violations[0]) if found else Hunted(row, None, tried)
                hunted.append(one)
                told(one)

    async with own_server() as url, asyncio.TaskGroup() as group:
        for job in range(jobs):
            group.create_task(work(url, job))
    return hunted
