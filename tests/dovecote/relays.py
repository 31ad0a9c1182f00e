"""Relays of the notes service to run on the real servers: in this process, or in one of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg

from dovecote.database import Database
from dovecote.kafka import KafkaProducer
from dovecote.relay import Relay
from dovecote.sql import Sql
from tests.dovecote import sample

REPOSITORY = Path(__file__).resolve().parents[2]
LEADER = Sql("SELECT epoch, pid, beat_at FROM relay_leader")


def new_relay(
    database: Database, bootstrap: str, *, attempts_max: int = 5, message_bytes_max: int = 1_048_576
) -> Relay:
    """A relay of the notes service."""
    return Relay(
        database,
        service=sample.NOTES,
        schema=sample.NOTES_SCHEMA,
        attempts_max=attempts_max,
        producer=partial(KafkaProducer, bootstrap, message_bytes_max=message_bytes_max),
    )


@asynccontextmanager
async def relaying(database: Database, bootstrap: str, **limits: int) -> AsyncIterator[Relay]:
    """A relay that runs as long as the block."""
    relay = new_relay(database, bootstrap, **limits)
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        await end(task)


async def end(task: asyncio.Task[Any]) -> None:
    """Stop a loop as a service's stop does."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def epoch(database: Database) -> int:
    """The number of the current term; 0 before the first."""
    row = await database.fetchrow(LEADER)
    return int(row["epoch"]) if row else 0


async def end_backend(url: str, pid: int) -> None:
    """End a session as an administrator or a failing network would."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SELECT pg_terminate_backend($1)", pid)
    finally:
        await connection.close()


@asynccontextmanager
async def relay_process(
    url: str, bootstrap: str, prefix: str, role: str = ""
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A relay in a process of its own, killed at the end (a frozen one too)."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.dovecote.relays",
        url,
        bootstrap,
        prefix,
        role,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(signal.SIGKILL)
        await child.wait()


async def _main(url: str, bootstrap: str, prefix: str, role: str) -> None:
    async with sample.connected(url, prefix=prefix, role=role or None) as database:
        await new_relay(database, bootstrap).run()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
