"""One service, connected to its database and nothing else: what operators' commands work on."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator

from dovecote.service import Service
from ecom.local import Home, home_path, joined_servers
from ecom.shop import Shop


@contextlib.asynccontextmanager
async def connected(name: str, *, prefix: str = "") -> AsyncIterator[Service]:
    """Connect a service on the servers of a running shop, or on embedded ones started for the moment."""
    shop = Shop.of([name], os.environ, prefix=prefix)
    async with joined_servers(Home(home_path(os.environ)), os.environ) as running:
        await shop.migrate(running.database_url)
        service = (await asyncio.to_thread(shop.services, running.database_url, running.bootstrap))[name]
        await service.connect()
        try:
            yield service
        finally:
            await service.stop()
