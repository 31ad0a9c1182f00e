"""Many seeds on many processes: what `./ecom simulate` does, and what the tests use."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
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
        """One for all traces, whichever process ran which seed."""
        together = "".join(self.digests[seed] for seed in sorted(self.digests))
        return hashlib.blake2b(together.encode(), digest_size=8).hexdigest()

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

    @property
    def orders_per_minute(self) -> float:
        return 60 * self.orders / self.seconds if self.seconds else 0.0


async def simulate(
    first: int,
    last: int,
    *,
    jobs: int = 1,
    bug: str = "",
    stop_at_violation: bool = False,
    seconds_max: float | None = None,
    told: Callable[[Report], None] = lambda _report: None,
) -> Summary:
    """Run seeds, dealt out over processes; stops early where the time is over, or at the first violation if asked."""
    summary = Summary(last=first - 1)
    async with own_server() as url:
        tasks = [Task(url, f"simulated_{job}", first + job, last, jobs, bug, stop_at_violation) for job in range(jobs)]
        began = time.monotonic()
        queue: asyncio.Queue[Report | None] = asyncio.Queue()
        running = [asyncio.create_task(_feed(task, queue)) for task in tasks]
        ended = 0
        try:
            async with asyncio.timeout(seconds_max):
                while ended < len(running):
                    report = await queue.get()
                    if report is None:
                        ended += 1
                        continue
                    summary.note(report)
                    told(report)
                    if report.violations and stop_at_violation:
                        break
        except TimeoutError:
            pass
        finally:
            summary.seconds = time.monotonic() - began
            for each in running:
                each.cancel()
            errors = await asyncio.gather(*running, return_exceptions=True)
    for error in errors:
        if isinstance(error, Exception):
            raise error
    return summary


async def _feed(task: Task, queue: asyncio.Queue[Report | None]) -> None:
    async for report in _reports(task):
        await queue.put(report)
    await queue.put(None)


async def _reports(task: Task) -> AsyncIterator[Report]:
    """The reports of one process. The same seed must give the same run everywhere, so hashes are the same too."""
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
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(msgspec.json.encode(task) + b"\n")
        await process.stdin.drain()
        async for line in process.stdout:
            yield msgspec.json.decode(line, type=Report)
        if await process.wait() != 0:
            raise RuntimeError(f"A process of the simulation ended with {process.returncode}.")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
