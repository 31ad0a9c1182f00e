"""A scene for tests of the consumer: what the group has committed, who its members are, what the tables say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from dovecote.database import Database
from dovecote.testing import eventually
from tests.dovecote.echo import NAME, EchoBench, Echoed, Ping, fresh
from tests.dovecote.foreign import Foreign, made_topics
from tests.dovecote.member import Orders


@dataclass
class Scene:
    """A topic, the group that reads it, and the service's tables."""

    bench: EchoBench
    foreign: Foreign
    url: str
    bootstrap: str
    prefix: str
    topic: str
    partitions: int = 1

    @property
    def group(self) -> str:
        return self.prefix + NAME

    def orders(self, **more: object) -> Orders:
        """What a member of the scene is started with."""
        return Orders(url=self.url, bootstrap=self.bootstrap, prefix=self.prefix, **more)  # type: ignore[arg-type]

    async def committed(self) -> list[int]:
        """The group's offset in each partition; 0 where there is none."""
        return [max(0, one) for one in await self.foreign.committed(self.group, self.topic, self.partitions)]

    async def at_end(self, *ends: int) -> None:
        """Wait until the group has committed the end of each partition."""

        async def there() -> bool:
            return await self.committed() == list(ends)

        await eventually(there, seconds=40, what=f"the group is at {ends}")

    async def shared_by(self, number: int) -> dict[str, set[int]]:
        """Wait until the group has so many members that hold all partitions; returns who holds which."""

        async def there() -> dict[str, set[int]]:
            held = await self.foreign.members(self.group)
            whole = sum(map(len, held.values())) == self.partitions
            busy = sum(map(bool, held.values())) == min(number, self.partitions)
            return held if len(held) == number and whole and busy else {}

        return dict(await eventually(there, seconds=30, what=f"the group has {number} members"))

    async def has_effects(self, number: int) -> None:
        """Wait for so many effects."""

        async def there() -> bool:
            return len(await self.bench.effects()) >= number

        await eventually(there, what=f"{number} effects")

    @asynccontextmanager
    async def never_going_back(self) -> AsyncIterator[None]:
        """I15: note the committed offsets all the time; none may ever fall."""
        seen: list[list[int]] = []

        async def watch() -> None:
            while True:
                seen.append(await self.committed())
                await asyncio.sleep(0.02)

        watching = asyncio.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()
        assert len(seen) > 10
        for offsets in zip(*seen, strict=True):
            assert list(offsets) == sorted(offsets), "a committed offset fell"


@asynccontextmanager
async def staged(
    database: Database, *, url: str, bootstrap: str, prefix: str, partitions: int = 1
) -> AsyncIterator[Scene]:
    """Empty tables and new topics; the group is forgotten afterwards."""
    names = [prefix + Ping.EVENT, prefix + Echoed.EVENT]
    async with made_topics(bootstrap, names, partitions=partitions, group=prefix + NAME):
        yield Scene(await fresh(database), Foreign(bootstrap), url, bootstrap, prefix, names[0], partitions)
