"""The database sessions of one process, in the simulation."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from tests.simulation.session import Sessions, SimulatedSession
from tests.simulation.world import Actor


class SimulatedPool:
    """Stands where an asyncpg pool stands: the sessions of one process."""

    def __init__(self, sessions: Sessions, actor: Actor, schema: str) -> None:
        self._sessions = sessions
        self._actor = actor
        self._schema = schema
        self._free: list[SimulatedSession] = []

    @contextlib.asynccontextmanager
    async def acquire(self, *, timeout: float | None = None) -> AsyncIterator[SimulatedSession]:
        """A session for the block."""
        self._free = [session for session in self._free if not session.is_lost]
        session = self._free.pop() if self._free else await self._sessions.open(self._actor, self._schema)
        try:
            yield session
        finally:
            self._free.append(session)

    async def close(self) -> None:
        self.terminate()

    def terminate(self) -> None:
        for session in self._free:
            session.lose()
