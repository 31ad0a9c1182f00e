"""From commit to a plain consumer: single-row commits at a fixed rate, the leader here or elsewhere."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from dovecote.database import Transaction
from dovecote.sql import Sql
from ecom.bench.cpu import family_cpu_s
from ecom.bench.floors import Latency, producing
from ecom.bench.leader import leader
from ecom.bench.receiver import receiver, seen
from ecom.bench.stand import Stand, order_id, say

CONNECTIONS = 8
WARM_S = 1.0
ARRIVE_S = 1.0
IDLE_WARM_S = 3.0  # until its sessions have told of what they did at the start
LOOK_S = 0.01
NS = 1e-9

TRANSACTIONS = Sql("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()")

Write = Callable[[int], Awaitable[object]]


@dataclass(frozen=True)
class Heard:
    """How late messages came, counted from the commit's return, and from the call that committed."""

    rate: float
    after_commit: Latency
    after_call: Latency
    missing: int


@dataclass(frozen=True)
class Idle:
    """What a leader costs that has nothing to do; the CPU is that of its process."""

    queries_per_s: float
    cpu_percent: float


async def floor(stand: Stand, rate: float, seconds: float) -> Heard:
    """The same without an outbox: the producer is called and a consumer receives."""
    async with producing(stand.address.bootstrap, stand.topic) as produce:

        async def write(number: int) -> None:
            produce(*stand.message(number))

        return await _measure(stand, [write], rate, seconds)


async def here(stand: Stand, rate: float, seconds: float) -> Heard:
    """Committed and relayed by this process."""
    async with _relay(stand), _writers(stand) as writers:
        return await _measure(stand, writers, rate, seconds)


async def apart(stand: Stand, rate: float, seconds: float) -> Heard:
    """Committed here, where a relay stands by, and relayed by another process."""
    async with leader(stand.address), _relay(stand, leads=False), _writers(stand) as writers:
        return await _measure(stand, writers, rate, seconds)


async def idle(stand: Stand, seconds: float) -> Idle:
    """A leader in a process of its own, and nothing said."""
    async with leader(stand.address) as process:
        await asyncio.sleep(IDLE_WARM_S)
        before, cpu = await stand.database.fetchval(TRANSACTIONS), family_cpu_s(process.pid)
        await asyncio.sleep(seconds)
        cpu = family_cpu_s(process.pid) - cpu
    # After its end: a session tells of its transactions when it has time, and at the latest when it ends. What its
    # last second and its end add is less than one a second.
    after = await stand.database.fetchval(TRANSACTIONS)
    return Idle((after - before) / seconds, 100 * cpu / seconds)


@asynccontextmanager
async def _relay(stand: Stand, *, leads: bool = True) -> AsyncIterator[None]:
    relay = stand.relay()
    task = asyncio.create_task(relay.run())
    try:
        while leads and not relay.leads:  # noqa: ASYNC110 (it is the relay's public word, and it has no event)
            await asyncio.sleep(LOOK_S)
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def _writers(stand: Stand) -> AsyncIterator[list[Write]]:
    """So many connections; each write is one statement and so one durable commit, by the public door."""
    async with AsyncExitStack() as stack:
        connections = [await stand.database.direct() for _ in range(CONNECTIONS)]
        for connection in connections:
            stack.push_async_callback(connection.close)

        def writer(connection: object) -> Write:
            async def write(number: int) -> None:
                async with Transaction.adopt(connection, stand.database) as tx:
                    say(tx, number)
                tx.committed()

            return write

        yield [writer(connection) for connection in connections]


async def _measure(stand: Stand, writers: list[Write], rate: float, seconds: float) -> Heard:
    """Write at the rate: who is late does not wait, so that a slow moment is seen by all that come in it."""
    asked: dict[str, int] = {}
    done: dict[str, int] = {}
    run = time.monotonic_ns()  # numbers no other run has
    async with receiver(stand.address.bootstrap, stand.topic) as listening:
        began = time.monotonic()
        turns = itertools.count()

        async def client(write: Write) -> None:
            for turn in turns:
                due = began + turn / rate
                if due > began + WARM_S + seconds:
                    return
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                number = run + turn
                key, call = order_id(number), time.monotonic_ns()
                await write(number)
                if due >= began + WARM_S:
                    asked[key], done[key] = call, time.monotonic_ns()

        await asyncio.gather(*map(client, writers))
        elapsed = time.monotonic() - began - WARM_S
        await asyncio.sleep(ARRIVE_S)
        came = seen(await listening.stop())
    heard = asked.keys() & came.keys()
    return Heard(
        len(asked) / elapsed,
        Latency.of([(came[key] - done[key]) * NS for key in heard], elapsed_s=elapsed),
        Latency.of([(came[key] - asked[key]) * NS for key in heard], elapsed_s=elapsed),
        len(asked) - len(heard),
    )
