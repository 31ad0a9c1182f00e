"""Wake-ups inside a process: a commit tells the relay and the workers that there is something to do."""

from __future__ import annotations

import asyncio

RELAY = "relay"  # there may be something in the outbox
HANDED = "relay: handed over"  # the leader was given what is new in it


class Wakeups:
    """Named bells. Ringing one that nobody waits for is remembered until the next wait."""

    def __init__(self) -> None:
        self._rung: set[str] = set()
        self._waiting: dict[str, asyncio.Event] = {}

    def ring(self, name: str) -> None:
        """Wake whoever waits for the name, now or next."""
        self._rung.add(name)
        if waiting := self._waiting.get(name):
            waiting.set()

    async def wait(self, *names: str, seconds: float) -> set[str]:
        """Wait for a ring of one of the names, at most so many seconds; says which rang. The poll behind is the truth.

        A name has one who waits for it.
        """
        if self._rung.isdisjoint(names):
            bell = asyncio.Event()
            self._waiting.update(dict.fromkeys(names, bell))
            try:
                async with asyncio.timeout(seconds):
                    await bell.wait()
            except TimeoutError:
                pass
        rung = self._rung.intersection(names)
        self._rung -= rung
        return rung
