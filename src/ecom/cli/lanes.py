"""Parts of the test suite, two at a time: many parts wait more than they compute, and fill each other's pauses."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import typer

from ecom.local.process import until

PART_LIMIT_S = 1800
TIMED_OUT = 124


@dataclass(frozen=True, slots=True)
class Part:
    """A program whose exit code says whether all is well, and where it reports its tests, if it runs some."""

    name: str
    argv: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=dict)
    report: Path | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a part ended, and how long it took."""

    part: Part
    code: int
    seconds: float


async def run_in_lanes(parts: Sequence[Part], lanes: Sequence[Mapping[str, str]]) -> list[Ended]:
    """Run parts in one or two lanes, each with the environment of a lane's own servers.

    One lane takes from the front, the other from the back, until they meet: what stands far apart runs side by side.
    """
    waiting = deque(parts)
    ended: list[Ended] = []

    async def lane(environ: Mapping[str, str], *, front: bool) -> None:
        while waiting:
            part = waiting.popleft() if front else waiting.pop()
            ended.append(await run_part(part, environ, whole=True))

    async with asyncio.TaskGroup() as group:
        for number, environ in enumerate(lanes):
            group.create_task(lane(environ, front=number == 0))
    return ended


async def run_part(part: Part, environ: Mapping[str, str], *, whole: bool = False) -> Ended:
    """Run a part; what it prints goes straight to our output, or there as a `whole` when it has ended."""
    began = time.monotonic()
    if part.report is not None:
        part.report.unlink(missing_ok=True)
    if not whole:
        _print(f"\n== {part.name}")
        code = await run_program(part.argv, {**environ, **part.environ})
    else:
        with tempfile.TemporaryFile() as printed:
            try:
                code = await run_program(part.argv, {**environ, **part.environ}, output=printed)
            finally:
                printed.seek(0)
                _print(f"\n== {part.name}\n{printed.read().decode(errors='replace').strip()}")
    ended = Ended(part, code, time.monotonic() - began)
    _print(f"== {part.name}: {'ok' if code == 0 else f'RED ({code})'} in {ended.seconds:.1f} s")
    return ended


async def run_program(argv: Sequence[str], environ: Mapping[str, str], *, output: BinaryIO | None = None) -> int:
    """Run a program to its end or its limit, and return its exit code.

    Not by the event loop: uvloop runs Python in the forked child, which crashes now and then in a process with threads.
    """
    process = subprocess.Popen(  # noqa: ASYNC220  see above
        argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output and subprocess.STDOUT, env=dict(environ)
    )
    try:
        if await until(lambda: process.poll() is not None, limit_s=PART_LIMIT_S):
            return process.returncode
        _print(f"{argv[0]} is not done after {PART_LIMIT_S} s")
        return TIMED_OUT
    finally:
        process.terminate()
        process.wait()


def _print(text: str) -> None:
    # At once, for programs print to the same output.
    typer.echo(text)
    sys.stdout.flush()
