"""What this shop writes: byte for byte what it has always written, and by the original's rules."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from dovecote import envelope
from dovecote.contracts import Contracts
from dovecote.contracts.code import Code
from dovecote.contracts.examples import golden
from ecom.contracts import CONTRACTS
from tests.contracts.wire.files import OURS, Value
from tests.contracts.wire.rules import PAYLOADS, broken

EVENT_ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
AT = datetime(2026, 2, 3, 4, 5, 6, 789_000, UTC)


@pytest.mark.parametrize("value", OURS, ids=str)
def test_ours_is_written_as_ever(value: Value, code: Code) -> None:
    """The golden example of a payload, through the writer's Struct, is these bytes: names, order, digits, escapes."""
    contracts = Contracts.load(CONTRACTS)
    (struct,) = [each for structs in code.writers.values() for each in structs if value.event_type == each.EVENT]
    event = msgspec.json.decode(golden(CONTRACTS)[value.event_type][value.name], type=struct)
    payload, producer = contracts.encode(event), contracts.entry(value.event_type).producer
    written = envelope.encode(EVENT_ID, value.event_type, AT, producer, TRACE_ID, payload)
    assert written.decode() == value.bytes.decode()


@pytest.mark.parametrize("value", OURS, ids=str)
def test_ours_keeps_the_originals_rules(value: Value) -> None:
    """A strict reader that knows the wire contract and none of our code finds nothing."""
    assert broken(value.bytes) == []


def test_every_event_is_here_twice() -> None:
    """With its required fields alone, and with every field there is."""
    assert {(value.event_type, value.name) for value in OURS} >= {
        (kind, name) for kind in PAYLOADS for name in ("minimal", "full")
    }
    assert PAYLOADS.keys() == {*Contracts.load(CONTRACTS)}


Spoil = Callable[[dict[str, Any]], object]
SPOILT: list[tuple[Spoil, str]] = [
    (lambda e: e.pop("eventId"), "eventId is missing"),
    (lambda e: e.update(eventId=EVENT_ID.hex), "eventId is"),
    (lambda e: e.update(eventId=str(EVENT_ID).upper()), "eventId is"),
    (lambda e: e.update(occurredAt="2026-02-03T04:05:06.789+00:00"), "occurredAt is"),
    (lambda e: e.update(occurredAt=1770091506.789), "occurredAt is"),
    (lambda e: e.update(traceId=None), "traceId is None"),
    (lambda e: e.update(schemaVersion="v2"), "schemaVersion is not"),
    (lambda e: e.update(event_type=e["eventType"]), "event_type is unknown"),
    (lambda e: e["payload"].pop("userId"), "userId is missing"),
    (lambda e: e["payload"].update(userId="7"), "userId is '7'"),
    (lambda e: e["payload"].update(totalAmount=39.97), "totalAmount is 39.97"),
    (lambda e: e["payload"].update(totalAmount="4E+1"), "totalAmount is"),
    (lambda e: e["payload"].update(email=None), "email is None"),
    (lambda e: e["payload"].update(created_at=e["payload"].pop("createdAt")), "createdAt is missing"),
    (lambda e: e["payload"]["items"][0].update(unitPrice=12.5), "items is"),
    (lambda e: e["payload"]["items"][0].update(quantity=0), "items is"),
    (lambda e: e["payload"]["items"].clear(), "items is []"),
]


@pytest.mark.parametrize(("spoil", "complaint"), SPOILT)
def test_the_rules_find_what_breaks_them(spoil: Spoil, complaint: str) -> None:
    """The strict reader is strict: each way in which an order could be written wrong is named."""
    (whole,) = [value for value in OURS if str(value) == "order.created.v1/full"]
    event = json.loads(whole.bytes)
    spoil(event)
    assert any(complaint in told for told in broken(json.dumps(event).encode()))
