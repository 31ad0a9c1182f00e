"""The echo service as a process of its own, to be killed, frozen and told to stop: `member.py '<json>'`.

``trap`` names the point at which the process does something to itself: a crash point has to be hit exactly.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvloop

REPOSITORY = Path(__file__).parents[2]


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What a member is started with."""

    url: str
    bootstrap: str
    prefix: str
    protocol: str = "auto"
    partitions: int = 1
    # "" or what happens once the first batch is committed to the database and before its offset is to Kafka.
    trap: str = ""
    # The handler exits the process at this number, and waits at that one.
    deadly: int = -1
    slow: int = -1
    slow_seconds: float = 0.0


@asynccontextmanager
async def running(orders: Orders) -> AsyncIterator[asyncio.subprocess.Process]:
    """A member as long as the block lasts; killed at its end where it still lives."""
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, msgspec.json.encode(orders).decode(), env=environ, stdout=sys.stderr
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            # Told, not killed, so that the group forgets it at once.
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 12)
            except TimeoutError:
                process.kill()
        await process.wait()


def set_trap(trap: str) -> None:
    """Wrap the call that follows the database's commit."""
    from dovecote.kafka import KafkaConsumer

    honest = KafkaConsumer.end
    sprung: list[bool] = []

    def end(self: KafkaConsumer, offsets: Mapping[tuple[str, int], int]) -> None:
        if offsets and not sprung:
            sprung.append(True)
            os.kill(os.getpid(), signal.SIGKILL if trap == "die" else signal.SIGSTOP)
            if trap == "freeze and wake slowly":
                # The client's own thread hears first that the group has gone on without it.
                time.sleep(4.0)
        honest(self, offsets)

    KafkaConsumer.end = end  # type: ignore[method-assign]


async def serve(orders: Orders) -> None:
    """Run until SIGTERM."""
    from tests.dovecote.echo import Echo

    if orders.trap:
        set_trap(orders.trap)
    echo = Echo()

    async def meanwhile(_tx: Any) -> None:
        numbers = echo.calls[-1][1]
        if orders.deadly in numbers:
            os._exit(9)
        if orders.slow in numbers:
            await asyncio.sleep(orders.slow_seconds)

    echo.meanwhile = meanwhile
    service = echo.service(
        orders.url, orders.bootstrap, prefix=orders.prefix, protocol=orders.protocol, partitions=orders.partitions
    )
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    await service.start()
    await told.wait()
    await service.stop()


if __name__ == "__main__":
    uvloop.run(serve(msgspec.convert(json.loads(sys.argv[1]), Orders)))
