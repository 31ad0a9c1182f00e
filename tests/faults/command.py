"""`ecom` commands on a home of the test's own, on servers of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from dataclasses import dataclass
from typing import Any

from dovecote.testing import eventually
from ecom.local import Home
from ecom.local.home import REPOSITORY
from ecom.local.servers import BOOTSTRAP, DATABASE_URL
from tests.faults import books


@dataclass(frozen=True)
class Ended:
    """A command that is over."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """The object on the last line."""
        found: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return found


@dataclass
class Command:
    """One that runs; what it writes is read as it comes."""

    home: Home
    process: asyncio.subprocess.Process
    written: asyncio.Task[tuple[bytes, bytes]]

    async def ended(self, *, seconds: float) -> Ended:
        """Wait for its end."""
        out, err = await asyncio.wait_for(asyncio.shield(self.written), seconds)
        return Ended(self.process.returncode or 0, out.decode(), err.decode())

    async def midway(self, *, final: int, seconds: float = 240) -> dict[str, str]:
        """Wait until so many orders have ended while others are on their way; the status of every one then."""

        async def is_midway() -> dict[str, str]:
            assert not self.written.done(), f"ended too early: {self.written.result()[1].decode()[-3000:]}"
            with contextlib.suppress(*books.AWAY):
                found = await books.orders(self.home)
                ended = sum(status in books.FINAL for status in found.values())
                if ended >= final and ended < len(found):
                    return found
            return {}

        what = f"{final} orders final and others not"
        found: dict[str, str] = await eventually(is_midway, seconds=seconds, every=0.05, what=what)
        return found


async def ecom(home: Home, *arguments: str, **environ: str) -> Command:
    """Start a command."""
    given = {name: value for name, value in os.environ.items() if name not in {DATABASE_URL, BOOTSTRAP}}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "ecom.cli", *arguments),
        env={**given, **environ, "ECOM_HOME": str(home.path)},
        cwd=REPOSITORY,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    return Command(home, process, asyncio.create_task(process.communicate()))


async def demo(home: Home, count: int) -> Command:
    """Start `ecom demo`."""
    return await ecom(home, "demo", "--orders", str(count), "--json")
