"""The `ecom` command as a process of its own, on the session's servers, with a database and a prefix of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dovecote.contracts import Contracts
from dovecote.kafka import Admin
from ecom.contracts import CONTRACTS
from ecom.local import Home
from ecom.local.place import temporary_home
from ecom.local.process import stop

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Command:
    """Runs `ecom …`, and ends at the test's end what the test left running."""

    environ: dict[str, str]
    home: Home
    prefix: str
    running: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def start(self, *arguments: str, **environ: str) -> asyncio.subprocess.Process:
        """Start a command; its output can be read line by line."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "ecom.cli", *arguments),
            env={**self.environ, **environ},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self.running.append(process)
        return process

    async def run(self, *arguments: str, limit_s: float = 300, **environ: str) -> tuple[int, str, str]:
        """Run a command to its end: its code, what it printed and what it complained of."""
        process = await self.start(*arguments, **environ)
        out, err = await asyncio.wait_for(process.communicate(), limit_s)
        return process.returncode or 0, out.decode(), err.decode()


async def line_with(process: asyncio.subprocess.Process, text: str, *, limit_s: float = 60) -> str:
    """Read a command's output up to the line that holds a text; fail with its complaints where it ends before."""
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.timeout(limit_s):
        while line := (await process.stdout.readline()).decode():
            if text in line:
                return line
        pytest.fail(f"ended without {text!r}: {(await process.stderr.read()).decode()[-2000:]}")


@pytest.fixture(scope="session")
def private_home() -> Iterator[Home]:
    """A home in which commands find no other launcher."""
    with temporary_home() as home:
        yield home


@pytest.fixture
async def ecom(private_home: Home, empty_database_url: str, bootstrap: str, prefix: str) -> AsyncIterator[Command]:
    """The command, with servers to use and names of its own; its processes and topics are gone afterwards."""
    environ = {
        **os.environ,
        "ECOM_HOME": str(private_home.path),
        "ECOM_DATABASE_URL": empty_database_url,
        "ECOM_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
    }
    command = Command(environ, private_home, prefix)
    yield command
    for process in command.running:
        if process.returncode is None:
            process.kill()
            await process.wait()
    for record in private_home.records().values():
        await stop(record, grace_s=10)  # what a killed command leaves running
    await Admin(bootstrap).delete_topics([prefix + name for name in Contracts.load(CONTRACTS)])
