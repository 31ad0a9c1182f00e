"""Servers of a test's own, to be stopped and killed under a running service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from dovecote.migrate import migrate
from ecom.local import Home, kafka, postgres
from ecom.local.child import Child
from ecom.local.place import temporary_home
from tests.dovecote import echo, sample


@dataclass
class OwnServer:
    """A PostgreSQL or a Kafka that nobody else uses."""

    home: Home
    running: Child

    @property
    def url(self) -> str:
        """The address of PostgreSQL's database."""
        return postgres.url(self.running.record)

    @property
    def bootstrap(self) -> str:
        """Kafka's address."""
        return kafka.bootstrap(self.running.record)

    async def end(self, how: str) -> None:
        """Stop or kill it."""
        await (self.running.stop() if how == "stopped" else self.running.kill())

    async def start(self) -> None:
        """Start it again on the same data and port."""
        start = postgres.start_postgres if self.running.recipe.name == postgres.NAME else kafka.start_kafka
        self.running = await start(self.home)

    async def restart(self, how: str) -> None:
        """End it and start it again."""
        await self.end(how)
        await self.start()


@asynccontextmanager
async def own_postgres() -> AsyncIterator[OwnServer]:
    """A PostgreSQL with the echo service's schema."""
    with temporary_home() as home, home.hold():
        server = OwnServer(home, await postgres.start_postgres(home))
        try:
            await asyncio.to_thread(migrate, server.url, schema=echo.SCHEMA, folders=[sample.MIGRATIONS])
            yield server
        finally:
            await server.running.stop()


@asynccontextmanager
async def own_kafka() -> AsyncIterator[OwnServer]:
    """A Kafka with nothing in it."""
    with temporary_home() as home, home.hold():
        server = OwnServer(home, await kafka.start_kafka(home))
        try:
            yield server
        finally:
            await server.running.stop()
