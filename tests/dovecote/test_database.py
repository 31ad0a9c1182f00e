"""The database: one clock, lanes with an end, adopted transactions, and errors that say whether waiting helps."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from urllib.parse import urlunsplit

import asyncpg
import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from dovecote import database as module
from dovecote import envelope
from dovecote.clock import Clock
from dovecote.database import LANES, Database, Transaction
from dovecote.errors import UnavailableError, is_environment
from dovecote.events import Aggregate
from dovecote.sql import Sql
from dovecote.testing import drained, eventually
from tests.addresses import by_tcp
from tests.dovecote import sample
from tests.dovecote.relays import epoch, relaying
from tests.dovecote.sample import NOTE, NOTES_ALL, NoteTold, read_log, statuses, tell

LOCK_NOTE = Sql("SELECT id FROM note WHERE id = $1 FOR UPDATE")
SESSIONS = Sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = $1")
BACKEND = Sql("SELECT pg_backend_pid()")
MOMENT = datetime(2031, 5, 6, 7, 8, 9, 123_456, UTC)


class Hands:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_the_clock_goes_on_from_the_databases() -> None:
    """Between two readings time is the reading plus monotonic time, in milliseconds; the wall clock plays no part."""
    hands = Hands()
    clock = Clock(hands)
    asked = clock.monotonic()
    hands.seconds += 0.2
    clock.set(MOMENT, asked=asked)
    # Half the round trip has passed since the database looked at its clock.
    assert clock.now == MOMENT.replace(microsecond=223_000)
    hands.seconds += 3600
    assert clock.now == MOMENT.replace(microsecond=223_000) + timedelta(hours=1)
    clock.set(MOMENT - timedelta(days=1), asked=clock.monotonic())
    assert clock.now == MOMENT.replace(microsecond=123_000) - timedelta(days=1)


async def test_a_transaction_has_the_databases_time(notes: Database) -> None:
    """tx.now is the database's clock to some ten milliseconds, in UTC."""
    truth = await notes.fetchval(Sql("SELECT clock_timestamp()"))
    async with notes.transaction() as tx:
        assert abs(tx.now - truth) < timedelta(seconds=0.5)
        assert tx.now.tzinfo == UTC
        assert tx.now.microsecond % 1000 == 0


async def test_time_costs_no_round_trip_and_is_everywhere_the_same(notes: Database) -> None:
    """A clock set to 2031 is believed without asking: in the event, its id, the outbox and the intent."""
    notes.clock.set(MOMENT, asked=notes.clock.monotonic())
    async with notes.transaction() as tx:
        event_id = await tell(tx, "n1")
        tx.intend("ask", key="k", subject="n1", body=NoteTold(note_id="n1", version=1, text=""))
    assert abs(tx.now - MOMENT) < timedelta(seconds=30)
    assert event_id.int >> 80 == int(tx.now.timestamp() * 1000)
    row = await notes.fetchrow(Sql("SELECT created_at, value FROM outbox_event_record"))
    assert row is not None
    assert row["created_at"] == tx.now == envelope.decode(row["value"]).occurred_at
    assert await notes.fetchval(Sql("SELECT created_at FROM intent")) == tx.now


async def test_a_session_serves_one_use_after_the_other(notes: Database) -> None:
    """It stays lent in between, whichever lane asks; two uses at once have two."""
    one = await notes.fetchval(BACKEND)
    assert {await notes.fetchval(BACKEND, lane=lane) for lane in LANES} == {one}
    async with notes.transaction() as tx, notes.transaction("work") as other:
        assert len({await tx.fetchval(BACKEND), await other.fetchval(BACKEND)}) == 2


async def test_a_session_that_ended_between_two_uses_is_replaced(notes: Database, sample_url: str) -> None:
    """An operator, a balancer or the server's own limit has ended it: the next use has a new one and no error."""
    ended = await notes.fetchval(BACKEND)
    connection = await asyncpg.connect(sample_url)
    await connection.execute("SELECT pg_terminate_backend($1)", ended)
    await connection.close()

    async def is_noticed() -> bool:
        return not any(map(module._is_fit, notes._idle))

    await eventually(is_noticed)
    assert await notes.fetchval(BACKEND) != ended


async def test_a_session_in_a_transaction_goes_to_nobody_else(notes: Database) -> None:
    """One that comes back in the middle of it is taken out of it by the pool."""
    async with notes._connection("api") as connection:
        await connection.execute("BEGIN")
        await connection.fetch(NOTES_ALL.text)
    async with notes._connection("api") as connection:
        assert not connection.is_in_transaction()


async def test_a_full_lane_is_unavailable_and_the_others_go_on(
    notes: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F5: a lane whose connections are all held answers UnavailableError in bounded time; other lanes do not notice."""
    monkeypatch.setattr(module, "ACQUIRE_SECONDS", 0.3)
    release = asyncio.Event()

    async def hold() -> None:
        async with notes.transaction("api"):
            await release.wait()

    holders = [asyncio.create_task(hold()) for _ in range(LANES["api"])]

    async def all_held() -> bool:
        return notes._lanes["api"].locked()

    await eventually(all_held)
    with pytest.raises(UnavailableError, match="All database connections for api are busy") as caught:
        async with notes.transaction("api"):
            pass
    assert caught.value.retriable
    with pytest.raises(UnavailableError):
        await notes.fetch(NOTES_ALL)
    async with notes.transaction("consumer") as tx, notes.transaction("work"):
        await tell(tx, "n1")
    release.set()
    await asyncio.gather(*holders)
    assert len(await notes.fetch(NOTES_ALL)) == 1


async def test_a_service_has_eight_connections(notes: Database, bootstrap: str, topics: list[str]) -> None:
    """All lanes full and the relay leading, a service holds eight sessions and no more."""
    async with relaying(notes, bootstrap):
        await eventually(lambda: epoch(notes))
        lanes = [lane for lane, size in LANES.items() for _ in range(size)][1:]
        transactions = [notes.transaction(lane) for lane in lanes]
        for transaction in transactions:
            await transaction.__aenter__()
        assert await notes.fetchval(SESSIONS, "client backend") == 8
        for transaction in reversed(transactions):
            await transaction.__aexit__(None, None, None)


async def test_sessions_have_their_limits(sample_url: str) -> None:
    """F6: a lost peer or a stuck lock ends by itself: the limits are set in every session."""
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "tcp_keepalives_idle")
    async with sample.connected(urlunsplit(by_tcp(sample_url))) as database:  # a peer behind a socket is not lost
        shown = [await database.fetchval(Sql(f"SHOW {name}")) for name in names]
    assert shown == ["30s", "10s", "1min", "30"]


async def test_a_deadlock_is_the_environments(notes: Database) -> None:
    """Two transactions in each other's way: one goes on, the other is told to try again, not that its event is bad."""
    async with notes.transaction() as tx:
        await tell(tx, "a")
        await tell(tx, "b")
    barrier = asyncio.Barrier(2)

    async def cross(first: str, second: str) -> None:
        async with notes.transaction() as tx:
            await tx.fetch(LOCK_NOTE, first)
            await barrier.wait()
            await tx.fetch(LOCK_NOTE, second)

    outcomes = await asyncio.gather(cross("a", "b"), cross("b", "a"), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "UnavailableError"]


async def test_an_ended_session_is_the_environments(notes: Database) -> None:
    """F4: a session that the server ends in mid-transaction gives UnavailableError; the next transaction works."""
    with pytest.raises(UnavailableError):
        async with notes.transaction() as tx:
            await tell(tx, "lost")
            await tx.fetch(Sql("SELECT pg_terminate_backend(pg_backend_pid())"))
    async with notes.transaction() as tx:
        await tell(tx, "kept")
    assert [row["id"] for row in await notes.fetch(NOTES_ALL)] == ["kept"]


async def test_a_wrong_call_is_not_the_environments(notes: Database) -> None:
    """A statement with arguments it does not take is our defect: no waiting mends it."""
    with pytest.raises(asyncpg.InterfaceError) as caught:
        await notes.fetch(NOTE, 1, 2)
    assert not is_environment(caught.value)


async def test_an_absent_server_is_unavailable(port: int) -> None:
    """Nobody listens at the address: the error says whose database, and that trying again can help."""
    with pytest.raises(UnavailableError, match="The database of notes-service cannot be reached"):
        async with sample.connected(f"postgresql://nobody@127.0.0.1:{port}/none"):
            pass


async def test_a_rolled_back_connection_comes_back_clean(notes: Database) -> None:
    """What a failed transaction did or left open is gone when the next one gets its connection."""
    for _ in range(sum(LANES.values()) + 1):
        with pytest.raises(ZeroDivisionError):
            async with notes.transaction() as tx:
                await tell(tx, "gone")
                raise ZeroDivisionError
    async with notes.transaction() as tx:
        assert await tx.fetch(NOTES_ALL) == []
        assert await tx.execute(Sql("DELETE FROM note")) == 0


async def test_an_asyncpg_transaction_can_be_adopted(
    notes: Database, sample_url: str, bootstrap: str, topics: list[str]
) -> None:
    """Events said in a transaction of one's own leave when it commits, and never when it rolls back."""
    connection = await asyncpg.connect(sample_url, server_settings={"search_path": sample.NOTES_SCHEMA})
    async with relaying(notes, bootstrap):
        async with connection.transaction(), Transaction.adopt(connection, notes) as tx:
            await tell(tx, "kept")
        tx.committed()
        with pytest.raises(ZeroDivisionError):
            async with connection.transaction(), Transaction.adopt(connection, notes) as tx:
                await tell(tx, "gone")
                raise ZeroDivisionError
        rolled_back = connection.transaction()
        await rolled_back.start()
        async with Transaction.adopt(connection, notes) as tx:
            await tell(tx, "gone")
        await rolled_back.rollback()
        await drained(notes)
    await connection.close()
    assert [record.key for record in await read_log(bootstrap, *topics)] == [b"kept"]
    assert [row["id"] for row in await notes.fetch(NOTES_ALL)] == ["kept"]


async def test_a_sqlalchemy_transaction_can_be_adopted(
    notes: Database, sample_url: str, bootstrap: str, topics: list[str]
) -> None:
    """A service that keeps its SQLAlchemy speaks in the same commit, through the driver's connection."""
    engine = create_async_engine(
        sample_url.replace("postgresql://", "postgresql+asyncpg://"),
        connect_args={"server_settings": {"search_path": sample.NOTES_SCHEMA}},
    )
    insert = text("INSERT INTO note (id, version, text) VALUES (:id, 1, 'by SQLAlchemy')")

    async def save(note_id: str, *, fail: bool) -> None:
        async with engine.begin() as connection:
            await connection.execute(insert, {"id": note_id})
            raw = await connection.get_raw_connection()
            async with Transaction.adopt(raw.driver_connection, notes) as tx:
                event = NoteTold(note_id=note_id, version=1, text="by SQLAlchemy")
                tx.publish(event, of=Aggregate("note", note_id, 1))
            if fail:
                raise ZeroDivisionError

    async with relaying(notes, bootstrap):
        await save("kept", fail=False)
        with pytest.raises(ZeroDivisionError):
            await save("gone", fail=True)
        await drained(notes)
    await engine.dispose()
    (record,) = await read_log(bootstrap, *topics)
    payload = msgspec.json.decode(envelope.decode(record.value).payload)
    assert payload == {"noteId": "kept", "version": 1, "text": "by SQLAlchemy"}
    assert await statuses(notes) == ["SENT"]
    assert [row["text"] for row in await notes.fetch(NOTES_ALL)] == ["by SQLAlchemy"]
