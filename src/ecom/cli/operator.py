"""Services connected to their databases and nothing else: what operators' commands work on."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterable, Mapping

from dovecote.service import Service
from ecom.local import Home, home_path, joined_servers
from ecom.shop import Shop


@contextlib.asynccontextmanager
async def connected(name: str, *, prefix: str = "") -> AsyncIterator[Service]:
    """Connect a service on the servers of a running shop, or on embedded ones started for the moment."""
    async with connected_all([name], prefix=prefix) as services:
        yield services[name]


@contextlib.asynccontextmanager
async def connected_all(names: Iterable[str], *, prefix: str = "") -> AsyncIterator[Mapping[str, Service]]:
    """Connect some services there; their schemas are migrated first."""
    shop = Shop.of(names, os.environ, prefix=prefix)
    async with joined_servers(Home(home_path(os.environ)), os.environ) as running, contextlib.AsyncExitStack() as stack:
        await shop.migrate(running.database_url)
        services = await asyncio.to_thread(shop.services, running.database_url, running.bootstrap)
        for service in services.values():
            await service.connect()
            stack.push_async_callback(service.stop)
        yield services
