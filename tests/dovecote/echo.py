"""A service whose handling a test can bend: it parks, raises, waits or fails where the test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import asyncpg

from dovecote import deadletter, telemetry
from dovecote.contracts import Contract, Contracts
from dovecote.database import Database, Record, Transaction, Voice
from dovecote.deadletter import DeadLetter
from dovecote.events import Aggregate, Delivery, Event
from dovecote.handlers import Handlers
from dovecote.service import Blueprint, Service
from dovecote.settings import App, KafkaSettings, Settings, topic_key
from dovecote.sql import Sql
from dovecote.testing import Bench
from tests.dovecote import sample

NAME = "echo-service"
# The board's migrated schema, with a table of effects beside: nothing in it forbids a second effect.
SCHEMA = sample.BOARD_SCHEMA
CREATE_EFFECT = f"""
    CREATE TABLE IF NOT EXISTS {SCHEMA}.effect (
        id bigint GENERATED ALWAYS AS IDENTITY, event_id uuid NOT NULL, event_type text NOT NULL, n bigint NOT NULL)
"""
INSERT_EFFECTS = Sql("""
    INSERT INTO effect (event_id, event_type, n)
    SELECT new.event_id, $1, new.n FROM unnest($2::uuid[], $3::bigint[]) WITH ORDINALITY AS new(event_id, n, place)
     ORDER BY new.place
""")
EFFECTS = Sql("SELECT event_id, event_type, n FROM effect ORDER BY id")
INBOX = Sql("SELECT consumer_group, event_id, event_type, outcome FROM consumed_event_record ORDER BY event_id")
TABLES = ("effect", "consumed_event_record", "dead_letter", "delivery_attempt", "outbox_event_record", "periodic_job")
LETTERS = ("RETRYING", "PARKED", "DEAD", "DONE")


class Ping(Event, frozen=True):
    EVENT = "ping.sent.v1"
    n: int
    mood: str = "fine"
    amount: Decimal | None = None


class Pong(Event, frozen=True):
    EVENT = "pong.sent.v1"
    n: int


class Echoed(Event, frozen=True):
    EVENT = "ping.echoed.v1"
    n: int


def contracts(name: str = NAME) -> Contracts:
    """What the service hears and says."""
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    return Contracts(
        {
            Ping.EVENT: Contract(Ping.EVENT, "v1", "bell-service", (name,), schema),
            Pong.EVENT: Contract(Pong.EVENT, "v1", "bell-service", (name,), schema),
            Echoed.EVENT: Contract(Echoed.EVENT, "v1", name, (), schema),
        }
    )


class Echo:
    """The handlers, and what a test may do to them while they run."""

    def __init__(self) -> None:
        self.handlers = Handlers()
        self.handlers.on(Ping)(self._hear_pings)
        self.handlers.on(Pong)(self._hear_pongs)
        self.broken: set[int] = set()
        self.calls: list[tuple[str, list[int]]] = []
        # Runs in the handler's transaction, after its effects: where a test fails the world or waits.
        self.meanwhile: Callable[[Transaction], Awaitable[None]] | None = None

    async def _hear_pings(self, tx: Transaction, pings: Sequence[Delivery[Ping]]) -> None:
        await self._hear(tx, Ping.EVENT, pings, [one.event.n for one in pings])
        for one in pings:
            if one.event.mood == "park":
                tx.park(one, "the handler said so")
            else:
                tx.publish(Echoed(n=one.event.n), of=Aggregate("ping", str(one.event_id), 1), because=one)

    async def _hear_pongs(self, tx: Transaction, pongs: Sequence[Delivery[Pong]]) -> None:
        await self._hear(tx, Pong.EVENT, pongs, [one.event.n for one in pongs])

    async def _hear(self, tx: Transaction, kind: str, events: Sequence[Delivery[Any]], numbers: list[int]) -> None:
        self.calls.append((kind, numbers))
        effects = [one for one in events if getattr(one.event, "mood", "fine") != "park"]
        await tx.execute(INSERT_EFFECTS, kind, [one.event_id for one in effects], [one.event.n for one in effects])
        if self.broken.intersection(numbers):
            raise ValueError("this number is broken")
        if self.meanwhile is not None:
            await self.meanwhile(tx)

    def blueprint(
        self, *, prefix: str = "", protocol: Any = "auto", partitions: int = 1, gather_millis: int = 0
    ) -> Blueprint:
        """The service as a blueprint; group and topics carry the prefix. Pings and pongs come on one topic."""
        topics = {topic_key(name): prefix + name for name in (Ping.EVENT, Echoed.EVENT)}
        topics[topic_key(Pong.EVENT)] = prefix + Ping.EVENT
        kafka = KafkaSettings(
            topics=topics, partitions=partitions, group_protocol=protocol, gather_millis=gather_millis
        )
        settings = Settings(App(kafka=kafka), 0, "127.0.0.1", {})
        return Blueprint(prefix + NAME, SCHEMA, sample.MIGRATIONS, settings, self.handlers)

    def service(self, url: str, bootstrap: str, *, prefix: str, **options: Any) -> Service:
        """The whole service, not started."""
        blueprint = self.blueprint(prefix=prefix, **options)
        return Service(blueprint, database_url=url, bootstrap=bootstrap, contracts=contracts(prefix + NAME))

    @asynccontextmanager
    async def running(self, url: str, bootstrap: str, *, prefix: str, **options: Any) -> AsyncIterator[Service]:
        """The service for as long as the block lasts, in this process."""
        service = self.service(url, bootstrap, prefix=prefix, **options)
        try:
            await service.start()
            yield service
        finally:
            await service.stop()


class EchoBench(Bench):
    """The service on its database, without its loops."""

    def __init__(self, echo: Echo, database: Database) -> None:
        super().__init__(echo.blueprint(), database)
        self.echo = echo

    async def effects(self) -> list[int]:
        """The numbers that had an effect, in the order of the effects."""
        return [row["n"] for row in await self.database.fetch(EFFECTS)]

    async def inbox(self) -> list[Record]:
        """Every verdict."""
        return await self.database.fetch(INBOX)

    async def letters(self) -> list[DeadLetter]:
        """Every dead letter, oldest first."""
        return (await deadletter.letters(self.database, statuses=LETTERS))[::-1]


@asynccontextmanager
async def prepared(url: str) -> AsyncIterator[Database]:
    """The service's database on a copy of the sample's template."""
    await add_effects(url)
    async with connected(url) as database:
        yield database


async def fresh(database: Database) -> EchoBench:
    """A service with empty tables: emptying them costs a millisecond, a database of one's own a second."""
    for table in TABLES:
        await database.fetch(Sql(f"DELETE FROM {table}"))
    return EchoBench(Echo(), database)


async def add_effects(url: str) -> None:
    """Make the table of effects."""
    async with plain(url) as connection:
        await connection.execute(CREATE_EFFECT)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Database]:
    """The service's database."""
    database = await Database.connect(url, schema=SCHEMA, voice=Voice(NAME, contracts(), {}))
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def plain(url: str) -> AsyncIterator[Any]:
    """A connection beside the service's pool: an operator's, or a saboteur's."""
    connection = await asyncpg.connect(url, server_settings={"search_path": SCHEMA})
    try:
        yield connection
    finally:
        await connection.close()


def repeats(group: str, kind: str = Ping.EVENT) -> float:
    """How many repeats this process has dropped for the group, as the metric counts them."""
    return telemetry.HANDLED.labels(group, kind, "repeat")._value.get()
