"""A worker in a process of its own: it calls out (a line in a file) and never gets its answer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import msgspec

from dovecote.database import Transaction
from dovecote.intents import Intent, Worker, WorkerLoop
from tests.dovecote import sample

REPOSITORY = Path(__file__).resolve().parents[2]
KIND = "ask"


class Order(msgspec.Struct, frozen=True):
    """What is asked of the outside world."""

    what: str


@asynccontextmanager
async def worker_process(url: str, calls: Path, *, lease_s: float) -> AsyncIterator[asyncio.subprocess.Process]:
    """The worker's process, killed at the end."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.dovecote.workers",
        url,
        str(calls),
        str(lease_s),
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(signal.SIGKILL)
        await child.wait()


async def outside_calls(calls: Path) -> list[str]:
    """The calls that were made: key and attempt."""
    return calls.read_text().splitlines() if calls.exists() else []


async def _main(url: str, calls: str, lease_s: str) -> None:
    async def call(intents: Sequence[Intent]) -> AsyncIterator[tuple[Intent, str]]:
        with Path(calls).open("a") as book:
            book.writelines(f"{intent.key} {intent.attempts}\n" for intent in intents)
        await asyncio.Event().wait()
        yield intents[0], "never"

    async def record(tx: Transaction, answers: Sequence[tuple[Intent, str]]) -> None:
        for intent, _ in answers:
            tx.settle(intent)

    async with sample.connected(url) as database:
        worker = Worker(KIND, call, record, lease=timedelta(seconds=float(lease_s)))
        await WorkerLoop(database, worker).run()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
