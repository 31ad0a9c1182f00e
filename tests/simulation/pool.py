"""The database sessions of one process, in the simulation."""

from __future__ import annotations

from tests.simulation.session import Sessions, SimulatedSession
from tests.simulation.world import Actor


class SimulatedPool:
    """Stands where an asyncpg pool stands: the sessions of one process."""

    def __init__(self, sessions: Sessions, actor: Actor, schema: str) -> None:
        self._sessions = sessions
        self._actor = actor
        self._schema = schema
        self._free: list[SimulatedSession] = []

    async def acquire(self, *, timeout: float | None = None) -> SimulatedSession:
        """A session that nobody uses, or a new one."""
        self._free = [session for session in self._free if not session.is_lost]
        return self._free.pop() if self._free else await self._sessions.open(self._actor, self._schema)

    async def release(self, session: SimulatedSession) -> None:
        self._free.append(session)

    async def close(self) -> None:
        self.terminate()

    def terminate(self) -> None:
        for session in self._free:
            session.lose()
