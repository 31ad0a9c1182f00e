"""A service's database: a bounded pool with lanes, and its clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime
from typing import Any

import asyncpg

from dovecote.clock import READ_CLOCK, Clock
from dovecote.connection import Connection
from dovecote.errors import DRIVER, UnavailableError, is_environment
from dovecote.intents import WorkerLoop
from dovecote.sql import Sql
from dovecote.term import Term
from dovecote.transaction import Record, Transaction, Voice
from dovecote.wakeups import Wakeups

__all__ = ["LANES", "Database", "Record", "Transaction", "Voice"]

# Connections of the pool by who may use them; the relay has two of its own beside it, eight in all.
LANES = {"api": 3, "consumer": 1, "work": 2}
ACQUIRE_SECONDS = 5.0
_NO_WAIT = nullcontext()
# Limits that keep a lost peer or a stuck lock from holding a connection for ever.
SESSION = {
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "jit": "off",
}


class Database:
    """One service's database. Connect with ``await Database.connect(…)``, end with ``await close()``."""

    def __init__(self, pool: Any, *, url: str, settings: Mapping[str, str], voice: Voice, clock: Clock) -> None:
        self._pool = pool
        self._url = url
        self._settings = settings
        self._lanes = {name: asyncio.Semaphore(size) for name, size in LANES.items()}
        self._idle: list[Any] = []  # connections that are the pool's to lend, and stay lent between two uses
        self._is_closing = False
        self.voice = voice
        self.clock = clock
        self.wakeups = Wakeups()
        self.workers: dict[str, WorkerLoop[Any]] = {}
        self.leader: Term | None = None  # of the relay, where that is in this process
        # Messages that the service's group has not handled yet, of some event types or (of none) of all it hears. None
        # where no consumer runs with this database: then nothing is on its way.
        self.lag: Callable[[Sequence[str]], Awaitable[int]] | None = None

    @classmethod
    async def connect(cls, url: str, *, schema: str, voice: Voice, role: str | None = None) -> Database:
        """Open the pool; every session works in the service's schema, as the service's role where there is one.

        Raises UnavailableError where the server cannot be reached.
        """
        settings = {**SESSION, "search_path": schema, "application_name": voice.producer}
        if role:
            settings["role"] = role
        try:
            pool = await asyncpg.create_pool(
                url,
                connection_class=Connection,
                min_size=1,
                max_size=sum(LANES.values()),
                server_settings=settings,
                command_timeout=30,
                max_inactive_connection_lifetime=300,
                # RESET ALL after each use costs a round trip and none of our code changes a session.
                reset=_leave_as_is,
            )
        except DRIVER as error:
            raise UnavailableError(f"The database of {voice.producer} cannot be reached: {error}") from error
        database = cls(pool, url=url, settings=settings, voice=voice, clock=Clock())
        await database.read_clock()
        return database

    async def close(self) -> None:
        """Close the pool; what still runs gets five seconds."""
        self._is_closing = True
        while self._idle:
            await self._pool.release(self._idle.pop())
        try:
            await asyncio.wait_for(self._pool.close(), 5)
        except TimeoutError:
            self._pool.terminate()

    async def direct(self) -> Any:
        """A connection outside the pool, for whoever must hold one (the relay's lock, LISTEN)."""
        return await asyncpg.connect(self._url, server_settings=dict(self._settings), command_timeout=30)

    async def read_clock(self) -> None:
        """Measure the offset to the database's clock."""
        asked = self.clock.monotonic()
        self.clock.set(await self.fetchval(READ_CLOCK), asked=asked)

    @property
    def now(self) -> datetime:
        """The database's time."""
        return self.clock.now

    @asynccontextmanager
    async def transaction(self, lane: str = "api") -> AsyncIterator[Transaction]:
        """One transaction at READ COMMITTED: commits when the block ends, rolls back when it raises.

        Raises UnavailableError for every error of the environment (connection, deadlock, timeout, full disk).
        """
        async with self._connection(lane) as connection:
            tx = Transaction(connection, self)
            async with connection.transaction():
                yield tx
                await tx.flush()
        tx.committed()

    async def fetch(self, sql: Sql, *args: object, lane: str = "api") -> list[Record]:
        """All rows of one statement outside a transaction."""
        async with self._connection(lane) as connection:
            return await connection.fetch(sql.text, *args)  # type: ignore[no-any-return]

    async def fetchrow(self, sql: Sql, *args: object, lane: str = "api") -> Record | None:
        """The first row of one statement outside a transaction, or None."""
        async with self._connection(lane) as connection:
            return await connection.fetchrow(sql.text, *args)  # type: ignore[no-any-return]

    async def fetchval(self, sql: Sql, *args: object, lane: str = "api") -> Any:
        """The first value of one statement outside a transaction, or None."""
        async with self._connection(lane) as connection:
            return await connection.fetchval(sql.text, *args)

    @asynccontextmanager
    async def _connection(self, lane: str) -> AsyncIterator[Any]:
        semaphore = self._lanes[lane]
        try:
            async with asyncio.timeout(ACQUIRE_SECONDS) if semaphore.locked() else _NO_WAIT:
                await semaphore.acquire()
        except TimeoutError as error:
            raise UnavailableError(f"All database connections for {lane} are busy; try again.") from error
        try:
            connection = await self._borrowed()
            went_well = False
            try:
                yield connection
                went_well = True
            finally:
                await self._give_back(connection, went_well=went_well)
        except DRIVER as error:
            if not is_environment(error):
                raise
            raise UnavailableError(f"The database did not answer: {type(error).__name__}: {error}") from error
        finally:
            semaphore.release()

    async def _borrowed(self) -> Any:
        """A connection: one that is idle, else the pool's. The pool's way out and back takes as long as a statement."""
        while self._idle:
            connection = self._idle.pop()
            if _is_fit(connection):
                return connection
            await self._pool.release(connection)
        return await self._pool.acquire(timeout=ACQUIRE_SECONDS)

    async def _give_back(self, connection: Any, *, went_well: bool) -> None:
        """Keep it for the next use; after an error, which the pool knows how to mend, it is the pool's again."""
        if went_well and _is_fit(connection) and not self._is_closing:
            self._idle.append(connection)
        else:
            await self._pool.release(connection)


def _is_fit(connection: Any) -> bool:
    """Whether a connection can be used by the next one as it is."""
    try:
        return not connection.is_closed() and not connection.is_in_transaction()
    except asyncpg.InterfaceError:  # it was lost, and the pool has taken it back
        return False


async def _leave_as_is(connection: Any) -> None:
    """The pool's reset hook: nothing to reset."""
