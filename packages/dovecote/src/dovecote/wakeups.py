"""Wake-ups inside a process: a commit tells the relay and the workers that there is something to do."""

from __future__ import annotations

import asyncio

RELAY = "relay"


class Wakeups:
    """Named bells. Ringing one that nobody waits for is remembered until the next wait."""

    def __init__(self) -> None:
        self._bells: dict[str, asyncio.Event] = {}

    def _bell(self, name: str) -> asyncio.Event:
        return self._bells.setdefault(name, asyncio.Event())

    def ring(self, name: str) -> None:
        """Wake whoever waits for the name, now or next."""
        self._bell(name).set()

    async def wait(self, name: str, *, seconds: float) -> bool:
        """Wait for a ring, at most so many seconds; True where it rang. The poll behind it is the truth."""
        bell = self._bell(name)
        try:
            async with asyncio.timeout(seconds):
                await bell.wait()
        except TimeoutError:
            return False
        bell.clear()
        return True
