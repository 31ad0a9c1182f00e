"""The transaction, the only door out: what is said or intended in it happens if, and only if, it commits."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from dovecote import envelope, ids, intents, outbox
from dovecote.contracts import Contracts
from dovecote.events import Aggregate, Delivery, Event, Traced
from dovecote.intents import Intent, LeaseLost, WorkerLoop
from dovecote.outbox import Waiting
from dovecote.sql import Sql, one_or_all
from dovecote.wakeups import RELAY

if TYPE_CHECKING:
    from dovecote.database import Database

Record = Mapping[str, Any]
Topics = Mapping[str, str]


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

    def __init__(self, connection: Any, database: Database) -> None:
        self._connection = connection
        self._database = database
        self._voice = database.voice
        # Who may lease intents at their birth; nobody in an adopted transaction, whose commit we do not see.
        self._workers: Mapping[str, WorkerLoop[Any]] = database.workers
        self._rings: set[str] = set()
        self._born: dict[str, list[Intent]] = {}
        self._events: list[tuple[Any, ...]] = []
        self._said: list[Waiting] = []
        self._intents: dict[tuple[str, str], tuple[Any, ...]] = {}
        self._settled: list[Intent] = []
        self._postponed: list[tuple[Intent, datetime]] = []
        self.parked: dict[UUID, str] = {}
        self.now: datetime = database.now

    @classmethod
    @asynccontextmanager
    async def adopt(cls, connection: Any, database: Database) -> AsyncIterator[Transaction]:
        """Join a transaction of your own (an asyncpg connection, e.g. SQLAlchemy's driver connection).

        Events are written when the block ends and leave when *your* transaction commits. The outbox must be
        on the connection's search_path. Call ``committed()`` after your commit, and never before: it saves the poll.
        """
        tx = cls(connection, database)
        tx._workers = {}
        yield tx
        await tx.flush()

    def new_id(self) -> UUID:
        """A time-ordered UUID of the transaction's moment."""
        return ids.uuid7(self.now)

    async def fetch(self, sql: Sql, *args: object) -> list[Record]:
        """All rows."""
        return await self._connection.fetch(sql.text, *args)  # type: ignore[no-any-return]

    async def fetchrow(self, sql: Sql, *args: object) -> Record | None:
        """The first row, or None."""
        return await self._connection.fetchrow(sql.text, *args)  # type: ignore[no-any-return]

    async def fetchval(self, sql: Sql, *args: object) -> Any:
        """The first column of the first row, or None."""
        return await self._connection.fetchval(sql.text, *args)

    async def execute(self, sql: Sql, *args: object) -> int:
        """Run a statement; says how many rows it touched."""
        tag = await self._connection.execute(sql.text, *args)
        last = tag.rsplit(" ", 1)[-1]
        return int(last) if last.isdigit() else 0

    def publish(self, event: Event, *, of: Aggregate, because: Traced | None = None, key: str | None = None) -> UUID:
        """Say an event; it is validated and encoded here and leaves after the commit.

        The Kafka key is the aggregate's id unless given. Returns the eventId.
        Raises ContractError where the payload breaks its schema or the event is not registered.
        """
        payload = self._voice.contracts.encode(event)
        event_id = self.new_id()
        trace_id = because.trace_id if because is not None else ids.new_trace_id()
        value = envelope.encode(event_id, event.EVENT, self.now, self._voice.producer, trace_id, payload)
        topic = self._voice.topic(event.EVENT)
        self._events.append((event_id, event.EVENT, topic, of.type, of.id, of.sequence, key or of.id, value, trace_id))
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
        """The call is done and recorded; the transaction ends with LeaseLost where the intent's lease is lost."""
        self._settled.append(intent)

    def postpone(self, intent: Intent, *, until: datetime) -> None:
        """The call has no final answer yet; make it again, with the same key, from then on. LeaseLost as in settle."""
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
            columns[1:4] = map(one_or_all, columns[1:4])
            rows = await self._connection.fetch(outbox.INSERT_EVENTS.text, *columns, self.now)
            # By the eventId: nobody promises that rows come back in the order in which they went.
            records = {row["event_id"]: row["id"] for row in rows}
            self._said += [
                Waiting(records[event_id], topic, key, value, trace_id, sequence, 0, kind, aggregate_id)
                for event_id, _, topic, kind, aggregate_id, sequence, key, value, trace_id in self._events
            ]
            self._events = []
        if self._intents:
            await self._insert_intents()
        if self._settled:
            await self._settle_intents()
        if self._postponed:
            await self._postpone_intents()

    async def _settle_intents(self) -> None:
        """Intents that are done; raises LeaseLost where one is no longer as it was leased."""
        done = sorted({(intent.kind, intent.key, intent.attempts) for intent in self._settled})
        kinds, keys, attempts = map(list, zip(*done, strict=True))
        if await self.execute(intents.SETTLE_INTENTS, one_or_all(kinds), keys, attempts, self.now) < len(done):
            raise LeaseLost("An intent was leased again or settled by another process meanwhile.")
        self._settled = []

    async def _postpone_intents(self) -> None:
        """Intents that are to be asked again; raises LeaseLost as settling does."""
        later = sorted({(intent.kind, intent.key, intent.attempts, until) for intent, until in self._postponed})
        columns = map(list, zip(*later, strict=True))
        leased = sum(attempts > 0 for _, _, attempts, _ in later)
        if await self.execute(intents.POSTPONE_INTENTS, *columns) < leased:
            raise LeaseLost("An intent was leased again or settled by another process meanwhile.")
        self._postponed = []

    async def _insert_intents(self) -> None:
        """Intents whose worker runs in this process and has room are born with its lease; the others are rung for."""
        wanted = Counter(kind for kind, _ in self._intents)
        leases = {kind: self._workers[kind].lease_for(wanted[kind]) for kind in wanted if kind in self._workers}
        until = {kind: self.now + lease for kind, lease in leases.items() if lease is not None}
        rows = [(*row, until.get(row[0]) if row[5] <= self.now else None) for row in self._intents.values()]
        columns = [list(column) for column in zip(*rows, strict=True)]
        for constant in (0, 5, 6):
            columns[constant] = one_or_all(columns[constant])
        inserted = await self._connection.fetch(intents.INSERT_INTENTS.text, *columns, self.now)
        fresh = {(row["kind"], row["key"]) for row in inserted}
        for kind, key, subject, body, trace_id, due, lease in rows:
            if lease is None:
                self._rings.add(kind)
            elif (kind, key) in fresh:
                born = Intent(kind, key, subject, body, 1, self.now, trace_id, due)
                self._born.setdefault(kind, []).append(born)
        self._intents = {}

    def committed(self) -> None:
        """Hand over what was said and born leased, and ring for the workers that have something to do."""
        if self._said and (leader := self._database.leader):
            leader.hand_over(self._said)
        elif self._said:
            self._rings.add(RELAY)
        for kind, born in self._born.items():
            if worker := self._workers.get(kind):
                worker.hand_over(born)
        for name in self._rings:
            self._database.wakeups.ring(name)
