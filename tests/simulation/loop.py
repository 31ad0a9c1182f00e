"""An event loop whose time is simulated, and which asks a scheduler what happens next whenever nothing can."""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Mapping
from typing import Any, Protocol


class Idle(Protocol):
    """Who decides what happens next."""

    @property
    def waits_for_io(self) -> bool:
        """Whether an answer of a real server is on its way."""

    def idle(self) -> None:
        """Nothing can run: make something runnable, or move time."""


class _Selector(selectors.BaseSelector):
    """Real sockets are looked at only while an answer is due; a wait for nothing is a question to the scheduler."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.scheduler: Idle | None = None

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        scheduler = self.scheduler
        if scheduler is None:
            return self._real.select(timeout)
        if timeout is not None and timeout <= 0:
            return []  # others can run; sockets can wait
        if not scheduler.waits_for_io:
            scheduler.idle()
            return []
        return self._real.select(None)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Its time stands still unless a scheduler moves it; without a scheduler it only answers sockets."""

    def __init__(self) -> None:
        self._gate = _Selector()
        self._now = 0.0
        super().__init__(self._gate)

    def time(self) -> float:
        """Simulated seconds since the scheduler took over."""
        return self._now

    def obey(self, scheduler: Idle | None) -> None:
        """Ask this scheduler from now on; its time begins at zero, and nobody else's timers are left."""
        self._gate.scheduler = scheduler
        self._set(0.0)
        self._timers.clear()

    def next_timer(self) -> float | None:
        """When the next timer is due."""
        return min((timer.when() for timer in self._timers if not timer.cancelled()), default=None)

    def advance(self, to: float) -> None:
        """Let time pass until then."""
        self._set(max(self._now, to))

    def _set(self, now: float) -> None:
        self._now = now
        # A timer is due when its time has come and not a nanosecond before, as asyncio has it: time stands still
        # here, and whoever waits for such a remainder again would wait for ever.
        self._clock_resolution = math.ulp(now)

    @property
    def _timers(self) -> list[asyncio.TimerHandle]:
        return self._scheduled  # type: ignore[attr-defined,no-any-return]
