"""The shop as a process of its own: its work and its log apart from the customers', started again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import structlog

from dovecote import Service
from ecom.local import Servers
from ecom.local.child import Child, start_child
from ecom.local.errors import LocalError
from ecom.running import is_open
from ecom.shop import Shop

log = structlog.get_logger("ecom.demo")

NAME = "shop"
COMMAND = "demo-shop"
_WATCH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Floor:
    """Where customers find the shop, and its services as a reader sees them: connected, not running."""

    url: str
    services: Mapping[str, Service]


@contextlib.asynccontextmanager
async def open_floor(shop: Shop, on: Servers, *, port: int | None) -> AsyncIterator[Floor]:
    """Start the shop on these servers; it is migrated and answers when the block begins."""
    child = await _start(shop, on, port)
    if child.was_found:
        # Left over from another run, with that run's settings.
        await child.stop()
        child = await _start(shop, on, port)
    keeper = _Keeper(child)
    watch = asyncio.create_task(keeper.watch(shop, on))
    try:
        async with contextlib.AsyncExitStack() as stack:
            services = await asyncio.to_thread(shop.services, on.database_url, on.bootstrap)
            for service in services.values():
                await service.connect()
                stack.push_async_callback(service.stop)
            yield Floor(f"http://127.0.0.1:{child.port}", services)
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        await keeper.child.stop()


class _Keeper:
    """Holds the process that runs now."""

    def __init__(self, child: Child) -> None:
        self.child = child

    async def watch(self, shop: Shop, on: Servers) -> None:
        """Start the shop again on its port whenever it has died, however often that fails, until cancelled."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            if self.child.is_alive():
                continue
            try:
                self.child = await _start(shop, on, self.child.port)
            except LocalError as error:  # e.g. its database is away as well
                log.warning("the shop cannot be started now", error=str(error))


async def _start(shop: Shop, on: Servers, port: int | None) -> Child:
    argv = [COMMAND, "--port", "{port}", *(("--prefix", shop.prefix) if shop.prefix else ())]
    environ = {**shop.environ, **on.environ}
    return await start_child(on.home, NAME, argv, environ=environ, port=port, ready=is_open)
