"""An event as it stands on Kafka: schemas of the envelope and the headers, and samples around golden payloads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from dovecote import ids
from dovecote.envelope import encode
from dovecote.errors import ContractError

ENVELOPE: Mapping[str, Any] = {
    "description": "The value of every Kafka message: who says what, when, and because of which story.",
    "type": "object",
    "properties": {
        "eventId": {"type": "string", "format": "uuid", "description": "One event, one id: who has seen it skips it."},
        "eventType": {"type": "string", "maxLength": 64, "description": "The event's name, its version the last part."},
        "occurredAt": {"type": "string", "format": "date-time", "description": "When it happened, in UTC."},
        "producer": {"type": "string", "description": "The service that says it."},
        "schemaVersion": {"type": "string", "description": "The last part of eventType once more."},
        "traceId": {
            "type": "string",
            "description": "Shared by all events of one story: 32 hexadecimal digits or a UUID.",
        },
        "payload": {"type": "object", "description": "What is said; its schema is that of the event."},
    },
    "required": ["eventId", "eventType", "occurredAt", "producer", "schemaVersion", "traceId", "payload"],
}
"""What a writer writes. A reader insists on eventId, eventType and payload only, and ignores what it does not know."""

HEADERS: Mapping[str, Any] = {
    "description": "Written with every message; no reader needs them.",
    "type": "object",
    "properties": {
        "traceparent": {
            "type": "string",
            "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
            "description": "The story as W3C Trace Context has it, made of traceId.",
        },
        "content-type": {"const": "application/json", "description": "How the value is written."},
        "aggregate-sequence": {
            "type": "string",
            "pattern": "^[0-9]+$",
            "description": "Counts the events of one aggregate by one producer.",
        },
    },
}

_MOMENT = datetime(2026, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)


def value(event: str, producer: str, payload: bytes, *, event_id: UUID, at: datetime, trace_id: str) -> bytes:
    """The Kafka value around a payload, on one line; numbers keep their digits.

    Raises ContractError where the payload is no JSON.
    """
    try:
        line = msgspec.json.format(payload, indent=-1)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ContractError(f"The payload of {event} is no JSON: {error}.") from error
    return encode(event_id, event, at, producer, trace_id, line)


def sample(event: str, producer: str, name: str, payload: bytes) -> bytes:
    """The same value each time: ids made of the event's and the example's name, always the same moment."""
    event_id, trace = (uuid5(NAMESPACE_URL, f"{event}/{name}/{part}") for part in ("event", "trace"))
    return value(event, producer, payload, event_id=event_id, at=_MOMENT, trace_id=trace.hex)


def headers(trace_id: str, sequence: int = 1) -> dict[str, str]:
    """The headers that go with a value."""
    return {
        "traceparent": ids.traceparent(trace_id),
        "content-type": "application/json",
        "aggregate-sequence": str(sequence),
    }
