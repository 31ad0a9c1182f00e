"""No faster than the relay: a bulk change waits while its events pile up in front of a relay that works.

Without a relay there is nobody to wait for: the events stay in the outbox until a shop starts.
"""

from __future__ import annotations

import asyncio

from dovecote.database import Database
from dovecote.errors import DovecoteError
from ecom.catalogue import store

# Enough that the relay never runs dry, and small enough that what is said now is not heard minutes later.
WAITING_MAX = 10_000
LOOK_AGAIN_SECONDS = 0.1
# A broker that is away for a minute is waited for.
STILL_SECONDS_MAX = 120.0


class NothingLeaves(DovecoteError):
    """A relay runs, and its outbox has not become shorter for two minutes."""


class Pace:
    """Asked before each batch; it looks into the outbox only as often as the batches may have filled it."""

    def __init__(self, database: Database, *, waiting_max: int = WAITING_MAX) -> None:
        self._database = database
        self._waiting_max = waiting_max
        self._room = 0

    async def admit(self, events: int) -> None:
        """Wait until the outbox has room for so many events. Raises NothingLeaves."""
        if self._room < events:
            self._room = await self._until_room(events)
        self._room -= events

    async def _until_room(self, events: int) -> int:
        loop = asyncio.get_running_loop()
        fewest, moved_at = -1, loop.time()
        while (waiting := await store.count_waiting(self._database)) + events > self._waiting_max:
            if not await store.is_relayed(self._database):
                return self._waiting_max
            if waiting < fewest or fewest < 0:
                fewest, moved_at = waiting, loop.time()
            elif loop.time() - moved_at > STILL_SECONDS_MAX:
                raise NothingLeaves(f"{waiting:,} events wait, and none leaves: is Kafka away?")
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        return self._waiting_max - waiting
