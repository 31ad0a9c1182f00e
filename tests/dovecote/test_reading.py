"""Whatever stands on a topic: foreign bytes are read as far as they can be, poison is set aside, the rest flows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dovecote.database import Database
from dovecote.events import Delivery
from dovecote.kafka import Message
from dovecote.reading import Reader
from ecom.local import Servers
from tests.dovecote.conftest import new_database
from tests.dovecote.echo import Echo, EchoBench, Ping, fresh, prepared
from tests.dovecote.poison import Poison, all_poisons, envelope, identity

POISONS = all_poisons()


@pytest.fixture(scope="module")
async def database(embedded: Servers, sample_template: str) -> AsyncIterator[Database]:
    """One database for the module."""
    async with new_database(embedded.database_url, template=sample_template) as url, prepared(url) as database:
        yield database


@pytest.fixture
async def bench(database: Database) -> EchoBench:
    """The echo service with empty tables."""
    return await fresh(database)


@pytest.mark.parametrize("poison", POISONS, ids=[poison.name for poison in POISONS])
@pytest.mark.parametrize("place", [0, 2, 4], ids=["first", "middle", "last"])
async def test_poison_is_a_dead_letter_and_its_neighbours_flow(bench: EchoBench, poison: Poison, place: int) -> None:
    """C7, C11: at every position of a batch, each kind of poison is kept byte for byte and hurts nobody else."""
    batch = [bench.message(Ping(n=n)) for n in range(4)]
    bad = bench.raw(Ping.EVENT, poison.value, key="k")
    batch.insert(place, bad)
    await bench.deliver(*batch)
    assert await bench.effects() == [0, 1, 2, 3]
    (letter,) = await bench.letters()
    assert (letter.status, letter.value, letter.key, letter.offset) == ("DEAD", poison.value, b"k", bad.offset)
    assert poison.says in letter.error
    assert letter.event_id == identity(poison)
    verdicts = {row["event_id"]: row["outcome"] for row in await bench.inbox()}
    assert verdicts.pop(identity(poison), "DEAD") == "DEAD"
    assert list(verdicts.values()) == ["PROCESSED"] * 4


async def test_a_batch_of_poison_alone_goes_by(bench: EchoBench) -> None:
    """All kinds in one poll, twice: one letter each, no call of the handler, nothing raised."""
    polled = [bench.raw(Ping.EVENT, poison.value) for poison in POISONS]
    await bench.deliver(*polled)
    await bench.deliver(*polled)
    assert bench.echo.calls == []
    letters = {letter.offset: letter.value for letter in await bench.letters()}
    assert letters == {message.offset: message.value for message in polled}


async def test_headers_and_bytes_of_a_letter_survive_the_table(bench: EchoBench) -> None:
    """A stored message comes back as it was: key, value and headers, the null and binary ones included."""
    headers = [("content-type", b"application/json"), ("none", None), ("raw", b"\xff\x00"), ("nul\x00name", b"x")]
    message = Message("t", 3, 7, b"\xffkey", b"\x00not an event", headers)
    await bench.deliver(message)
    (letter,) = await bench.letters()
    back = letter.message
    assert replace(back, headers=headers) == message
    assert back.headers == [*headers[:3], ("nulname", b"x")]


def read(value: bytes, **fields: object) -> Delivery[Ping]:
    """A message read by the echo service; it must be readable."""
    message = replace(Message(Ping.EVENT, 0, 1, b"key", value, ()), **fields)
    received = Reader(Echo().handlers, value_bytes_max=1_000_000).read(message)
    assert received.delivery is not None, received.error
    return received.delivery


def test_a_foreign_event_is_read_whatever_its_order_and_extras() -> None:
    """Fields in another order, unknown ones in envelope and payload, nanoseconds and a uuid trace id are fine."""
    event_id = uuid4()
    delivery = read(
        b'{"payload": {"extra": {"deep": [1, null]}, "amount": 12.50, "n": 7}, "traceId":'
        b' "0b9d1c1e-3a4f-4d59-8b1f-3c2d1e0f9a8b", "schemaVersion": "v1", "tenant": null, "producer": "bell-service",'
        b' "occurredAt": "2026-02-03T04:05:06.123456789Z", "eventType": "ping.sent.v1", "eventId": "%s"}'
        % str(event_id).upper().encode()
    )
    assert delivery.event_id == event_id
    assert (delivery.event.n, delivery.event.amount) == (7, Decimal("12.50"))
    assert delivery.trace_id == "0b9d1c1e-3a4f-4d59-8b1f-3c2d1e0f9a8b"
    assert abs((delivery.occurred_at - datetime(2026, 2, 3, 4, 5, 6, 123456, UTC)).total_seconds()) < 0.001
    assert (delivery.producer, delivery.key) == ("bell-service", "key")


def test_an_envelope_of_three_fields_is_enough() -> None:
    """A foreign producer that sends only eventId, eventType and payload is heard."""
    delivery = read(envelope('{"n": 7}'))
    assert (delivery.event.n, delivery.producer, delivery.sequence) == (7, "", None)
    assert len(delivery.trace_id) == 32
    assert delivery.occurred_at == datetime.fromtimestamp(0, UTC)


def test_nulls_and_offsets_in_optional_fields_are_read() -> None:
    """Null for an optional field is absence; an instant with another offset, or none, is an instant."""
    assert read(envelope('{"n": 7, "amount": null}', more=', "producer": null, "traceId": null')).event.amount is None
    shifted = read(envelope('{"n": 7}', more=', "occurredAt": "2026-02-03T05:05:06+01:00"')).occurred_at
    naive = read(envelope('{"n": 7}', more=', "occurredAt": "2026-02-03T04:05:06"')).occurred_at
    assert shifted == naive == datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


def test_the_sequence_header_is_read_and_nonsense_in_it_ignored() -> None:
    """``aggregate-sequence`` is ours: a foreign event has none, a malformed one counts as none."""
    value = envelope('{"n": 7}')
    assert read(value, headers=[("aggregate-sequence", b"12")]).sequence == 12
    for nonsense in (b"", b"-1", b"x", None, b"\xb2", b"9" * 5000):
        assert read(value, headers=[("aggregate-sequence", nonsense)]).sequence is None
    assert read(value, key=b"\xff\xfe").key == "\ufffd\ufffd"


def test_the_last_of_doubled_keys_counts() -> None:
    """Duplicate JSON keys are legal JSON: they are read, not a crash."""
    assert read(envelope('{"n": 1, "n": 2}')).event.n == 2


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
envelopes = st.fixed_dictionaries(
    {"eventId": st.uuids().map(str) | json_values, "eventType": st.just(Ping.EVENT) | json_values},
    optional={
        "payload": st.fixed_dictionaries({"n": st.integers()}) | json_values,
        "occurredAt": st.datetimes().map(lambda at: at.isoformat() + "Z") | json_values,
        "producer": json_values,
        "traceId": st.text() | json_values,
    },
).map(msgspec.json.encode)


@st.composite
def mutilated(draw: st.DrawFn) -> bytes:
    """An envelope with some bytes changed, lost or put in."""
    value = bytearray(draw(envelopes))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(value)))
        value[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.binary(max_size=60) | envelopes | mutilated() | st.none(), min_size=1, max_size=30))
async def test_every_message_ends_handled_or_as_a_dead_letter(bench: EchoBench, values: list[bytes | None]) -> None:
    """C11, fuzzed: any bytes among any bytes: nothing raises, and each message has its effect or its letter."""
    polled = [bench.raw(Ping.EVENT, value) for value in values]
    done_before = len(await bench.effects())
    await bench.deliver(*polled)
    letters = {letter.offset: letter for letter in await bench.letters()}
    flowed = [message for message in polled if message.offset not in letters]
    ids = [msgspec.json.decode(message.value or b"")["eventId"] for message in flowed]
    assert len({UUID(event_id) for event_id in ids}) >= len(await bench.effects()) - done_before
    for message in polled:
        if message.offset in letters:
            assert letters[message.offset].value == message.value


@settings(max_examples=500, deadline=None)
@given(value=st.binary(max_size=200) | envelopes | mutilated() | st.none())
def test_reading_never_raises(value: bytes | None) -> None:
    """Hundreds of payloads: an answer with a delivery or with a reason, never an exception."""
    received = READER.read(Message("t", 0, 1, None, value, ()))
    assert (received.delivery is None) == bool(received.error)


READER = Reader(Echo().handlers, value_bytes_max=1_000_000)
