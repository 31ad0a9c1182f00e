"""The embedded servers of a running shop, taken over from its launcher to be stopped, killed and started again."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from ecom.local import Home
from ecom.local.child import Child
from ecom.local.kafka import start_kafka
from ecom.local.postgres import start_postgres
from tests.faults.processes import POSTGRES, kill, living


@contextlib.asynccontextmanager
async def postgres(home: Home) -> AsyncIterator[Child]:
    """The running PostgreSQL."""
    async with _taken(home, start_postgres) as server:
        yield server


@contextlib.asynccontextmanager
async def kafka(home: Home) -> AsyncIterator[Child]:
    """The running Kafka."""
    async with _taken(home, start_kafka) as server:
        yield server


@contextlib.asynccontextmanager
async def _taken(home: Home, find: Callable[[Home], Awaitable[Child]]) -> AsyncIterator[Child]:
    server = await find(home)
    assert server.was_found
    try:
        yield server
    finally:
        # The launcher knows only the process that it started: what we started in its place is ours to stop.
        await server.stop()


async def kill_backends(home: Home, postmaster: Child) -> int:
    """Kill the processes of PostgreSQL that serve someone now; the postmaster then starts all of them anew."""
    backends = [pid for pid, name in living(home).items() if name == POSTGRES and pid != postmaster.record.pid]
    await kill(backends)
    return len(backends)
