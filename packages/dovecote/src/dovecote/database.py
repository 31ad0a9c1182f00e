"""A service's database: a bounded pool with lanes, and the transaction that is the only door out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from dovecote import envelope, ids, intents, outbox
from dovecote.clock import READ_CLOCK, Clock
from dovecote.contracts import Contracts
from dovecote.errors import UnavailableError, is_environment
from dovecote.events import Aggregate, Delivery, Event, Traced
from dovecote.intents import Intent
from dovecote.sql import Sql
from dovecote.wakeups import RELAY, Wakeups

Record = Mapping[str, Any]
Topics = Mapping[str, str]

# Connections of the pool by who may use them; the relay has two of its own beside it, eight in all.
LANES = {"api": 3, "consumer": 1, "work": 2}
ACQUIRE_SECONDS = 5.0
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


@dataclass(frozen=True)
class Voice:
    """How a service speaks: its name, the contracts it keeps, and the topic of each event type."""

    producer: str
    contracts: Contracts
    topic_of: Topics

    def topic(self, event_type: str) -> str:
        """The topic of an event type: its own name, unless the configuration says otherwise."""
        return self.topic_of.get(event_type, event_type)


class Transaction:
    """A database transaction that can speak. What is published leaves if, and only if, it commits."""

    def __init__(self, connection: Any, *, voice: Voice, clock: Clock, wakeups: Wakeups) -> None:
        self._connection = connection
        self._voice = voice
        self._wakeups = wakeups
        self._rings: set[str] = set()
        self._events: list[tuple[Any, ...]] = []
        self._intents: dict[tuple[str, str], tuple[Any, ...]] = {}
        self._settled: list[Intent] = []
        self._postponed: list[tuple[Intent, datetime]] = []
        self.parked: dict[UUID, str] = {}
        self.now: datetime = clock.now

    @classmethod
    @asynccontextmanager
    async def adopt(cls, connection: Any, database: Database) -> AsyncIterator[Transaction]:
        """Join a transaction of your own (an asyncpg connection, e.g. SQLAlchemy's driver connection).

        Events are written when the block ends and leave when *your* transaction commits. The outbox must be
        on the connection's search_path. Call ``database.wakeups.ring("relay")`` after the commit to save the poll.
        """
        tx = cls(connection, voice=database.voice, clock=database.clock, wakeups=database.wakeups)
        yield tx
        await tx.flush()

    def new_id(self) -> UUID:
        """A time-ordered UUID of the transaction's moment."""
        return ids.uuid7(self.now)

    async def fetch(self, sql: Sql, *args: object) -> list[Record]:
        """All rows."""
        return await self._connection.fetch(sql, *args)  # type: ignore[no-any-return]

    async def fetchrow(self, sql: Sql, *args: object) -> Record | None:
        """The first row, or None."""
        return await self._connection.fetchrow(sql, *args)  # type: ignore[no-any-return]

    async def fetchval(self, sql: Sql, *args: object) -> Any:
        """The first column of the first row, or None."""
        return await self._connection.fetchval(sql, *args)

    async def execute(self, sql: Sql, *args: object) -> int:
        """Run a statement; says how many rows it touched."""
        tag = await self._connection.execute(sql, *args)
        last = tag.rsplit(" ", 1)[-1]
        return int(last) if last.isdigit() else 0

    def publish(
        self, event: Event, *, of: Aggregate, because: Traced | None = None, key: str | None = None
    ) -> UUID:
        """Say an event; it is validated and encoded here and leaves after the commit.

        The Kafka key is the aggregate's id unless given. Returns the eventId.
        Raises ContractError where the payload breaks its schema or the event is not registered.
        """
        self._voice.contracts.check(event)
        event_id = self.new_id()
        trace_id = because.trace_id if because is not None else ids.new_trace_id()
        value = envelope.encode(
            event_id, event.EVENT, self.now, self._voice.producer, trace_id, msgspec.json.encode(event)
        )
        topic = self._voice.topic(event.EVENT)
        self._events.append(
            (event_id, event.EVENT, topic, of.type, of.id, of.sequence, key or of.id, value, trace_id)
        )
        return event_id

    def intend(
        self,
        kind: str,
        *,
        key: str,
        subject: str,
        body: msgspec.Struct,
        because: Traced | None = None,
        due: datetime | None = None,
    ) -> None:
        """Write down a call to the outside world, to be made by a worker; a key known already changes nothing."""
        trace_id = because.trace_id if because is not None else ids.new_trace_id()
        self._intents.setdefault(
            (kind, key), (kind, key, subject, msgspec.json.encode(body), trace_id, due or self.now)
        )

    def settle(self, intent: Intent) -> None:
        """The call is done and recorded."""
        self._settled.append(intent)

    def postpone(self, intent: Intent, *, until: datetime) -> None:
        """The call has no final answer yet; make it again, with the same key, from then on."""
        self._postponed.append((intent, until))

    def park(self, delivery: Delivery[Any], why: str) -> None:
        """Set one event aside as a dead letter, in this transaction; its neighbours go on."""
        self.parked[delivery.event_id] = why

    def wake_relay(self) -> None:
        """Wake the relay after the commit although nothing was published (e.g. after a replay)."""
        self._rings.add(RELAY)

    async def flush(self) -> None:
        """Write what was said and intended, in bulk; the commit follows."""
        if self._events:
            columns = [list(column) for column in zip(*self._events, strict=True)]
            await self._connection.execute(outbox.INSERT_EVENTS, *columns, self.now)
            self._rings.add(RELAY)
            self._events = []
        if self._intents:
            columns = [list(column) for column in zip(*self._intents.values(), strict=True)]
            await self._connection.execute(intents.INSERT_INTENTS, *columns, self.now)
            self._rings.update(kind for kind, _ in self._intents)
            self._intents = {}
        if self._settled:
            done = sorted((intent.kind, intent.key) for intent in self._settled)
            kinds, keys = zip(*done, strict=True)
            await self._connection.execute(intents.SETTLE_INTENTS, kinds, keys, self.now)
            self._settled = []
        if self._postponed:
            later = sorted((intent.kind, intent.key, until) for intent, until in self._postponed)
            kinds, keys, untils = zip(*later, strict=True)
            await self._connection.execute(intents.POSTPONE_INTENTS, kinds, keys, untils)
            self._postponed = []

    def committed(self) -> None:
        """Ring for the relay and the workers that now have something to do."""
        for name in self._rings:
            self._wakeups.ring(name)


class Database:
    """One service's database. Connect with ``await Database.connect(…)``, end with ``await close()``."""

    def __init__(self, pool: Any, *, url: str, settings: Mapping[str, str], voice: Voice, clock: Clock) -> None:
        self._pool = pool
        self._url = url
        self._settings = settings
        self._lanes = {name: asyncio.Semaphore(size) for name, size in LANES.items()}
        self.voice = voice
        self.clock = clock
        self.wakeups = Wakeups()

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
                min_size=1,
                max_size=sum(LANES.values()),
                server_settings=settings,
                command_timeout=30,
                max_inactive_connection_lifetime=300,
                # RESET ALL after each use costs a round trip and none of our code changes a session.
                reset=_leave_as_is,
            )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            raise UnavailableError(f"The database of {voice.producer} cannot be reached: {error}") from error
        database = cls(pool, url=url, settings=settings, voice=voice, clock=Clock())
        await database.read_clock()
        return database

    async def close(self) -> None:
        """Close the pool; what still runs gets five seconds."""
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
            tx = Transaction(connection, voice=self.voice, clock=self.clock, wakeups=self.wakeups)
            async with connection.transaction():
                yield tx
                await tx.flush()
        tx.committed()

    async def fetch(self, sql: Sql, *args: object) -> list[Record]:
        """All rows of one statement outside a transaction."""
        async with self._connection("api") as connection:
            return await connection.fetch(sql, *args)  # type: ignore[no-any-return]

    async def fetchrow(self, sql: Sql, *args: object) -> Record | None:
        """The first row of one statement outside a transaction, or None."""
        async with self._connection("api") as connection:
            return await connection.fetchrow(sql, *args)  # type: ignore[no-any-return]

    async def fetchval(self, sql: Sql, *args: object) -> Any:
        """The first value of one statement outside a transaction, or None."""
        async with self._connection("api") as connection:
            return await connection.fetchval(sql, *args)

    @asynccontextmanager
    async def _connection(self, lane: str) -> AsyncIterator[Any]:
        semaphore = self._lanes[lane]
        try:
            async with asyncio.timeout(ACQUIRE_SECONDS):
                await semaphore.acquire()
        except TimeoutError as error:
            raise UnavailableError(f"All database connections for {lane} are busy; try again.") from error
        try:
            async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                yield connection
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            if not is_environment(error):
                raise
            raise UnavailableError(f"The database did not answer: {type(error).__name__}: {error}") from error
        finally:
            semaphore.release()


async def _leave_as_is(connection: Any) -> None:
    """The pool's reset hook: nothing to reset."""

