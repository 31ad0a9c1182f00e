"""The scheduler: every act of the simulated world is parked here, and a seeded choice says whose turn it is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, Protocol, TypeVar

from tests.simulation.loop import SimulatedLoop
from tests.simulation.trace import Trace

T = TypeVar("T")

BEGINNING = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
# Fired together: timers that are due within a tick of each other.
TICK_SECONDS = 0.001


class Actor(Protocol):
    """Whoever takes turns; ``sleeps`` while it is frozen, ``is_dead`` once it has crashed."""

    name: str
    sleeps: bool
    is_dead: bool


class Session(Protocol):
    """A database session, as far as its waits are concerned."""

    name: str

    def waits_for_a_lock(self) -> bool:
        """Whether its statement waits for another session."""

    def stop(self) -> bool:
        """Let nothing happen to it, not even once it could; False where it waits no longer."""

    def go_on(self) -> None:
        """And again."""


@dataclass(slots=True)
class Turn:
    """Something that can be done now: an actor's next act. ``order`` makes choices repeatable."""

    actor: Actor
    what: str
    order: tuple[str, int]
    future: asyncio.Future[None]


class Stuck(Exception):
    """Nothing can happen any more, and the world is not at rest."""


@dataclass(slots=True)
class World:
    """One run's time, chance and turns."""

    loop: SimulatedLoop
    seed: int
    chance: random.Random = field(init=False)
    trace: Trace = field(default_factory=Trace)
    jump: timedelta = timedelta(0)  # how far the database's clock has been set off
    farthest: timedelta = timedelta(0)  # and how far it ever was: some dates are that late
    choose: Callable[[], None] | None = None  # decides what happens next
    _parked: list[Turn] = field(default_factory=list)
    _count: int = 0
    _blocked: dict[Session, asyncio.Future[None]] = field(default_factory=dict)
    # Whose wait is in the trace: one who is woken only to wait for the next may be seen between, or not.
    _told: dict[Session, None] = field(default_factory=dict)
    errands: set[asyncio.Task[Any]] = field(default_factory=set)  # see errand
    failure: BaseException | None = None
    is_over: bool = False  # nobody gets a turn any more

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    # -- time -----------------------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The database's clock."""
        return BEGINNING + timedelta(seconds=self.loop.time()) + self.jump

    def pass_time(self) -> bool:
        """Move to the next timer; False where there is none."""
        due = self.loop.next_timer()
        if due is None:
            return False
        self.loop.advance(due + TICK_SECONDS)
        return True

    # -- turns ----------------------------------------------------------------------------------------------------

    async def turn(self, actor: Actor, what: str) -> None:
        """Wait for one's turn. It never comes for the dead, and not for the frozen."""
        if self.is_over:
            raise asyncio.CancelledError
        self._count += 1
        future: asyncio.Future[None] = self.loop.create_future()
        self._parked.append(Turn(actor, what, (actor.name, self._count), future))
        await future

    def ready(self) -> list[Turn]:
        """Whoever could go on now, in a repeatable order."""
        self._parked = [turn for turn in self._parked if not turn.future.done() and not turn.actor.is_dead]
        return sorted((turn for turn in self._parked if not turn.actor.sleeps), key=attrgetter("order"))

    def grant(self, turn: Turn) -> None:
        """Let one act happen."""
        self.trace.add(self.loop.time(), turn.actor.name, turn.what)
        self._parked.remove(turn)
        turn.future.set_result(None)

    # -- the real server ------------------------------------------------------------------------------------------

    @property
    def waits_for_io(self) -> bool:
        """Whether work on the real server is under way that is done before the next turn."""
        return bool(self.errands)

    def errand(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Work on the real server, done before the next turn."""
        task = self.loop.create_task(work)
        self.errands.add(task)
        task.add_done_callback(self._errand_done)
        return task

    def _errand_done(self, task: asyncio.Task[Any]) -> None:
        self.errands.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.failure = self.failure or task.exception()
        self.unblock()

    async def freed(self, session: Session) -> None:
        """Wait until a session that waits for somebody's lock waits for none.

        Of several whom one COMMIT lets go, the server would wake all, and whoever is quickest has a row's lock next. So
        all but the first are stopped meanwhile, and go on one after the other.
        """
        if session not in self._told:
            self.trace.add(self.loop.time(), session.name, "waits for a lock")
            self._told[session] = None
        if self._blocked and not session.stop():
            return
        future = self._blocked[session] = self.loop.create_future()
        try:
            await future
        finally:
            session.go_on()

    def answered(self, session: Session) -> None:
        """A statement is done: somebody's transaction may have ended, and with it others' waits."""
        self._told.pop(session, None)
        self._blocked.pop(session, None)
        self.unblock()

    def unblock(self) -> None:
        """Let those go on who wait for no lock any more."""
        for session in [each for each in self._blocked if not each.waits_for_a_lock()]:
            future = self._blocked.pop(session)
            if not future.done():
                future.set_result(None)

    def idle(self) -> None:
        """Nothing runs: choose."""
        assert self.choose is not None, "nobody chooses"
        self.choose()
