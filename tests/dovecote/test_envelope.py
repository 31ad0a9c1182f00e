"""The envelope: exact bytes for the writer, tolerance for the reader, and a clear refusal."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecote import envelope
from dovecote.errors import EnvelopeError
from dovecote.ids import trace_id_of, traceparent, uuid7

EVENT_ID = UUID("0197a3b2-7c1e-7d3f-8a4b-5c6d7e8f9a0b")
AT = datetime(2026, 2, 3, 4, 5, 6, 789_000, UTC)


def test_the_bytes_are_those_of_the_wire_contract() -> None:
    """Field names, their order, milliseconds with Z, the version from the type's name, the payload as it is."""
    value = envelope.encode(EVENT_ID, "order.created.v1", AT, "order-service", "ab" * 16, b'{"orderId":"1"}')
    assert value == (
        b'{"eventId":"0197a3b2-7c1e-7d3f-8a4b-5c6d7e8f9a0b","eventType":"order.created.v1",'
        b'"occurredAt":"2026-02-03T04:05:06.789Z","producer":"order-service","schemaVersion":"v1",'
        b'"traceId":"abababababababababababababababab","payload":{"orderId":"1"}}'
    )


def test_what_is_written_is_read() -> None:
    """Decode gives back what encode was told."""
    event = envelope.decode(envelope.encode(EVENT_ID, "a.b.v12", AT, "p", "t", b"[1]"))
    assert (event.event_id, event.event_type, event.occurred_at, event.producer, event.schema_version) == (
        EVENT_ID,
        "a.b.v12",
        AT,
        "p",
        "v12",
    )
    assert bytes(event.payload) == b"[1]"


def test_an_instant_of_any_zone_is_written_in_utc() -> None:
    """RFC 3339, UTC, milliseconds, whatever the zone it was told in."""
    assert envelope.instant(AT.astimezone(timezone(timedelta(hours=5, minutes=30)))) == "2026-02-03T04:05:06.789Z"
    assert envelope.instant(AT.replace(microsecond=0)) == "2026-02-03T04:05:06.000Z"


def test_a_foreign_producer_needs_little() -> None:
    """Id, type and payload are enough; unknown fields are ignored."""
    event = envelope.decode(
        b'{"payload":{},"eventType":"a.b.v1","eventId":"0197a3b27c1e7d3f8a4b5c6d7e8f9a0b","extra":[1,{}]}'
    )
    assert event.event_id == EVENT_ID
    assert (event.occurred_at, event.producer, event.trace_id) == (None, None, None)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'{"eventId":"not one","eventType":"a.b.v1","payload":{}}',
        b'{"eventId":"0197a3b2-7c1e-7d3f-8a4b-5c6d7e8f9a0b","eventType":"a.b.v1"}',
        b'{"eventId":"0197a3b2-7c1e-7d3f-8a4b-5c6d7e8f9a0b","eventType":7,"payload":{}}',
        b'{"eventId":"0197a3b2-7c1e-7d3f-8a4b-5c6d7e8f9a0b","eventType":"' + b"x" * 65 + b'","payload":{}}',
        b'{"eventId":"0197a3b2-7c1e-7d3f-8a4b-5c6d7e8f9a0b","eventType":"a","payload":' + b"[" * 100_000,
    ],
)
def test_what_is_no_event_is_refused(value: bytes | None) -> None:
    """Null, not JSON, no usable id, type or payload, nested without end: one error of ours, never a crash."""
    with pytest.raises(EnvelopeError):
        envelope.decode(value)


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_reader(value: bytes) -> None:
    """Whatever bytes come, the answer is an event or an EnvelopeError."""
    try:
        event = envelope.decode(value)
    except EnvelopeError:
        assert envelope.claimed_type(value) is None or len(envelope.claimed_type(value) or "") <= 64
    else:
        assert isinstance(event.event_id, UUID)


@given(st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_ids_are_ordered_by_time(moment: datetime) -> None:
    """uuid7 carries its moment in its first 48 bits, so that an index grows at its end."""
    one, other = uuid7(moment), uuid7(moment + timedelta(milliseconds=1))
    assert one < other
    assert (one.version, one.variant) == (7, "specified in RFC 4122")
    assert abs((one.int >> 80) - moment.timestamp() * 1000) <= 1


def test_ids_of_one_moment_differ() -> None:
    """Ten thousand ids of one millisecond, no two alike."""
    assert len({uuid7(AT) for _ in range(10_000)}) == 10_000


def test_a_forked_process_makes_ids_of_its_own() -> None:
    """Parent and forked child do not go on with the same random numbers."""
    program = """
import os
from dovecote.ids import new_trace_id
child = os.fork()
os.write(1, f"{new_trace_id()}\\n".encode())
if child:
    os.waitpid(child, 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    one, other = done.stdout.split()
    assert one != other


@pytest.mark.parametrize(
    ("trace_id", "header"),
    [
        ("ab" * 16, f"00-{'ab' * 16}-{'ab' * 8}-01"),
        ("0197a3b2-7c1e-7d3f-8a4b-5c6d7e8f9a0b", "00-0197a3b27c1e7d3f8a4b5c6d7e8f9a0b-0197a3b27c1e7d3f-01"),
        ("0" * 16 + "cd" * 8, f"00-{'0' * 16}{'cd' * 8}-{'cd' * 8}-01"),
    ],
)
def test_a_trace_id_becomes_a_traceparent(trace_id: str, header: str) -> None:
    """A W3C id as it is, a foreign UUID without its dashes; back again it is the same trace."""
    assert traceparent(trace_id) == header
    assert trace_id_of(header) == trace_id.replace("-", "")


@given(st.text(max_size=80) | st.sampled_from(["0" * 32, "0" * 16 + "1" * 16, "1" * 16 + "0" * 16]))
def test_any_trace_id_gives_a_valid_header(trace_id: str) -> None:
    """A trace id from a foreign producer may be anything; the header is valid W3C all the same."""
    version, trace, parent, flags = traceparent(trace_id).split("-")
    assert (version, len(trace), len(parent), flags) == ("00", 32, 16, "01")
    assert int(trace, 16) > 0
    assert int(parent, 16) > 0


@pytest.mark.parametrize("header", [None, "", "00-xyz", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", "-" * 50])
def test_a_malformed_traceparent_starts_a_new_trace(header: str | None) -> None:
    """An absent, malformed or all-zero header is no trace; a fresh one begins."""
    one, other = trace_id_of(header), trace_id_of(header)
    assert len(one) == 32
    assert one != other


def test_a_payload_travels_untouched() -> None:
    """The payload's bytes are embedded as they are, not decoded and encoded again."""
    payload = b'{"amount":"10.50","note":"\\u00e9"}'
    assert payload in envelope.encode(EVENT_ID, "a.b.v1", AT, "p", "t", payload)
    assert msgspec.json.decode(payload)["note"] == "\u00e9"
