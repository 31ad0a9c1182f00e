"""The outbox: what is said stands beside the change, or neither stands."""

from __future__ import annotations

import asyncio
import contextlib
from decimal import Decimal

import asyncpg
import msgspec
import pytest

from dovecote import envelope
from dovecote.database import Database
from dovecote.errors import ContractError
from dovecote.events import Aggregate, Cause, Event
from dovecote.outbox import records, replay_failed
from dovecote.sql import Sql
from dovecote.testing import drained
from tests.dovecote.relays import relaying
from tests.dovecote.sample import NOTE, NoteTold, outbox, read_log, statuses, tell

FAIL = Sql("UPDATE outbox_event_record SET status = 'FAILED', last_error = 'planted' WHERE id = ANY($1::bigint[])")
BLOCK = Sql("UPDATE outbox_event_record SET blocked_by = $2 WHERE id = $1")


async def test_a_rollback_says_nothing(notes: Database, bootstrap: str, topics: list[str]) -> None:
    """O17: what a rolled back transaction published is neither stored nor sent; its neighbours are."""

    class Refusal(Exception):
        pass

    async with relaying(notes, bootstrap):
        for number in range(6):
            with contextlib.suppress(Refusal):
                async with notes.transaction() as tx:
                    await tell(tx, f"n{number}")
                    if number % 2:
                        raise Refusal
        await drained(notes)
    assert [row["aggregate_id"] for row in await outbox(notes)] == ["n0", "n2", "n4"]
    assert sorted(record.key or b"" for record in await read_log(bootstrap, *topics)) == [b"n0", b"n2", b"n4"]


async def test_a_broken_payload_takes_the_change_back(notes: Database) -> None:
    """A payload that breaks its schema raises at publish, names where, and the business change is gone."""
    with pytest.raises(ContractError, match=r"note\.told\.v1 breaks its schema at /version: 0 is less"):
        async with notes.transaction() as tx:
            await tell(tx, "n1", "kept?")
            tx.publish(NoteTold(note_id="n1", version=0, text=""), of=Aggregate("note", "n1", 2))
    assert await notes.fetchrow(NOTE, "n1") is None
    assert await outbox(notes) == []


async def test_an_unregistered_event_is_refused(notes: Database) -> None:
    """An event without a contract cannot be said; the error says where to register it."""

    class Stranger(Event, frozen=True):
        EVENT = "note.whispered.v1"

    with pytest.raises(ContractError, match=r"note\.whispered\.v1 is not registered; add it to event-contracts\.json"):
        async with notes.transaction() as tx:
            tx.publish(Stranger(), of=Aggregate("note", "n1", 1))


async def test_money_and_instants_are_validated_as_they_travel(notes: Database) -> None:
    """A Decimal is a string and an instant RFC 3339 both to the schema's pattern and on the wire; None is left out."""
    async with notes.transaction() as tx:
        event = NoteTold(note_id="n1", version=1, text="", price_paid=Decimal("10.50"), due=tx.now)
        tx.publish(event, of=Aggregate("note", "n1", 1))
        tx.publish(NoteTold(note_id="n1", version=2, text=""), of=Aggregate("note", "n1", 2))
    with pytest.raises(ContractError, match="/pricePaid"):
        async with notes.transaction() as tx:
            event = NoteTold(note_id="n1", version=3, text="", price_paid=Decimal("10.5"))
            tx.publish(event, of=Aggregate("note", "n1", 3))
    values = await notes.fetch(Sql("SELECT value, created_at FROM outbox_event_record ORDER BY id"))
    first, second = (msgspec.json.decode(envelope.decode(row["value"]).payload) for row in values)
    due = first.pop("due")
    assert first == {"noteId": "n1", "version": 1, "text": "", "pricePaid": "10.50"}
    assert envelope.instant(msgspec.convert(due, type(values[0]["created_at"]))) == envelope.instant(
        values[0]["created_at"]
    )
    assert second == {"noteId": "n1", "version": 2, "text": ""}


async def test_one_sequence_has_one_event(notes: Database) -> None:
    """O2: two writers that take the same number of an aggregate cannot both commit."""
    async with notes.transaction() as tx:
        tx.publish(NoteTold(note_id="n1", version=1, text=""), of=Aggregate("note", "n1", 1))
    with pytest.raises(asyncpg.UniqueViolationError, match="outbox_one_event_per_sequence"):
        async with notes.transaction() as tx:
            tx.publish(NoteTold(note_id="n1", version=1, text=""), of=Aggregate("note", "n1", 1))


async def test_writers_of_one_aggregate_never_share_or_skip_a_number(
    notes: Database, bootstrap: str, topics: list[str]
) -> None:
    """O2: forty concurrent writers of three notes get gapless versions, and Kafka has each note's in order."""

    async def write(number: int) -> None:
        async with notes.transaction() as tx:
            await tell(tx, f"n{number % 3}", str(number))

    async with relaying(notes, bootstrap):
        await asyncio.gather(*(write(number) for number in range(40)))
        await drained(notes)
    heard: dict[str, list[int]] = {}
    for record in await read_log(bootstrap, *topics):
        payload = msgspec.json.decode(envelope.decode(record.value).payload)
        heard.setdefault(payload["noteId"], []).append(payload["version"])
    assert heard == {"n0": [*range(1, 15)], "n1": [*range(1, 14)], "n2": [*range(1, 14)]}


async def test_the_story_keeps_its_trace(notes: Database, bootstrap: str, topics: list[str]) -> None:
    """Key, headers and envelope carry the aggregate's id, its sequence and the trace of the cause."""
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    async with relaying(notes, bootstrap):
        async with notes.transaction() as tx:
            event_id = await tell(tx, "n1", because=Cause(trace_id))
        await drained(notes)
    (record,) = await read_log(bootstrap, *topics)
    event = envelope.decode(record.value)
    assert (record.key, event.event_id, event.event_type, event.producer, event.schema_version, event.trace_id) == (
        b"n1",
        event_id,
        "note.told.v1",
        "notes-service",
        "v1",
        trace_id,
    )
    headers = dict(record.headers)
    assert headers["aggregate-sequence"] == b"1"
    assert headers["traceparent"] == f"00-{trace_id}-{trace_id[:16]}-01".encode()


async def test_of_two_replays_one_wins(notes: Database) -> None:
    """O14: operators that replay at the same moment set each FAILED record back once, and free what it blocked."""
    async with notes.transaction() as tx:
        for number in range(50):
            await tell(tx, f"n{number}")
        await tell(tx, "n0")
    rows = await outbox(notes)
    async with notes.transaction() as tx:
        await tx.execute(FAIL, [row["id"] for row in rows[:50]])
        await tx.execute(BLOCK, rows[50]["id"], rows[0]["id"])
    assert [record.last_error for record in await records(notes, limit=2)] == ["planted", "planted"]
    counts = await asyncio.gather(*(replay_failed(notes) for _ in range(3)))
    assert sum(counts) == 50
    assert {(row["status"], row["blocked_by"], row["last_error"]) for row in await outbox(notes)} == {
        ("PENDING", None, None)
    }
    assert await replay_failed(notes) == 0


async def test_replay_takes_a_hundred_at_most(notes: Database) -> None:
    """A bulk replay has a bound, whatever is asked for."""
    async with notes.transaction() as tx:
        for number in range(120):
            await tell(tx, f"n{number}")
    async with notes.transaction() as tx:
        await tx.execute(FAIL, [row["id"] for row in await outbox(notes)])
    assert await replay_failed(notes, limit=100_000) == 100
    assert (await statuses(notes)).count("FAILED") == 20
