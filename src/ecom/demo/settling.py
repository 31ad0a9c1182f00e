"""Waiting for the end: every order final, then every event sent and heard and every call to the outside made."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from dovecote import Database, Service, UnavailableError
from dovecote.kafka import Admin
from ecom.demo import store

T = TypeVar("T")

LOOK_AGAIN_SECONDS = 0.05
QUEUE_SECONDS = 0.5
# Without any progress for so long, waiting on would change nothing; the report says what is not final. A broker that
# is away for a minute, and needs its time to start, is still waited for.
STILL_SECONDS_MAX = 120.0


class Door:
    """Keeps customers out while more orders are open than the shop ends in half a second.

    On any machine, however slow or busy, orders then wait for each other only shortly; a longer queue would be
    answered by timeouts.
    """

    def __init__(
        self, database: Database, *, orders: Callable[[], int], open_min: int, on_look: Callable[[int, int], None]
    ) -> None:
        self._database = database
        self._orders = orders
        self._open_min = open_min
        self._on_look = on_look
        self._looks: deque[tuple[float, int]] = deque()
        self.entry = asyncio.Event()
        self.entry.set()

    async def watch(self) -> None:
        """Look until cancelled; ``on_look`` is told how many orders there are and how many of them are open."""
        loop = asyncio.get_running_loop()
        while True:
            waiting = await _patiently(lambda: count_open(self._database))
            orders = max(self._orders(), waiting)
            self._on_look(orders, waiting)
            if waiting < self._open_max(loop.time(), orders - waiting):
                self.entry.set()
            else:
                self.entry.clear()
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    def _open_max(self, now: float, final: int) -> int:
        """Half of what has ended in the last second, and never so few that the shop falls asleep."""
        self._looks.append((now, final))
        while now - self._looks[0][0] > 1.0:
            self._looks.popleft()
        began, before = self._looks[0]
        ended_per_s = (final - before) / (now - began) if now > began else 0.0
        return max(self._open_min, round(ended_per_s * QUEUE_SECONDS))


async def count_open(database: Database) -> int:
    """How many orders are not final."""
    return int(await database.fetchval(store.COUNT_OPEN))


async def until_final(database: Database) -> bool:
    """Wait until no order is open; False where nothing has moved for too long."""
    return await _until_none(lambda: count_open(database))


async def until_heard(writer: Service, readers: Iterable[Service], *, bootstrap: str) -> bool:
    """Wait until all that a service has said has left and is heard; False where nothing has moved for too long."""
    known = {reader: [topic for topic in writer.said if topic in reader.heard] for reader in readers}
    admin = Admin(bootstrap)

    async def left() -> int:
        if unsent := await writer.database.fetchval(store.OUTBOX_WAITING):
            return int(unsent)
        return sum(await asyncio.gather(*(admin.lag(reader.group, topics) for reader, topics in known.items())))

    return await _until_none(left)


async def until_quiet(services: Iterable[Service], *, bootstrap: str) -> bool:
    """Wait until nothing is on its way: no unsent event, no open call, no letter to retry, nothing unheard."""
    known = list(services)
    admin = Admin(bootstrap)

    async def left() -> int:
        stored = 0
        for service in known:
            for question in (store.OUTBOX_WAITING, store.INTENTS_OPEN, store.LETTERS_OPEN):
                stored += await service.database.fetchval(question)
        if stored:
            return stored
        # What is unsent cannot be unheard yet: Kafka is asked only when the tables are still.
        return sum(await asyncio.gather(*(admin.lag(service.group, service.heard) for service in known)))

    return await _until_none(left)


async def _until_none(left: Callable[[], Awaitable[int]]) -> bool:
    loop = asyncio.get_running_loop()
    before, moved_at = -1, loop.time()
    while (now := await _patiently(left)) > 0:
        if now != before:
            before, moved_at = now, loop.time()
        elif loop.time() - moved_at > STILL_SECONDS_MAX:
            return False
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
    return True


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """An answer, however often the servers are away meanwhile; for so long as anything is waited for."""
    loop = asyncio.get_running_loop()
    asked_at = loop.time()
    while True:
        try:
            return await ask()
        except UnavailableError:
            if loop.time() - asked_at > STILL_SECONDS_MAX:
                raise
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
