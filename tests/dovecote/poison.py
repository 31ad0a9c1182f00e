"""Messages that no service should be hurt by, each with what its dead letter says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import UUID, uuid4

from tests.dovecote.echo import Ping, Pong


@dataclass(frozen=True)
class Poison:
    """Bytes, and what becomes of them."""

    name: str
    value: bytes | None
    says: str
    # Whether an inbox row can carry the verdict.
    has_event_id: bool = False


def envelope(payload: str, *, event_id: str | None = None, event_type: str = Ping.EVENT, more: str = "") -> bytes:
    """An envelope around a payload given as text."""
    identity = json.dumps(event_id or str(uuid4()))
    return f'{{"eventId": {identity}, "eventType": "{event_type}", "payload": {payload}{more}}}'.encode()


def all_poisons() -> list[Poison]:
    """One of each kind."""
    return [
        Poison("null value", None, "null value"),
        Poison("empty value", b"", "not an event"),
        Poison("not JSON", b"{ this is not", "not an event"),
        Poison("half of it", envelope('{"n": 1}')[:-9], "not an event"),
        Poison("another thing", b"[1, 2, 3]", "Expected `object`"),
        Poison("a number", b"42", "Expected `object`"),
        Poison("not UTF-8", b"\xff\xfe" + envelope('{"n": 1}'), "not an event"),
        Poison("not UTF-8 in a field", envelope('{"n": 1, "mood": "?"}').replace(b"?", b"\xe9"), "utf-8", True),
        Poison("not UTF-8 in the type", envelope('{"n": 1}').replace(b"ping.sent", b"ping\xe9sent"), "not an event"),
        Poison("UTF-16", envelope('{"n": 1}').decode().encode("utf-16"), "not an event"),
        Poison("no eventId", b'{"eventType": "ping.sent.v1", "payload": {"n": 1}}', "missing required field `eventId`"),
        Poison("null eventId", b'{"eventId": null, "eventType": "ping.sent.v1", "payload": {"n": 1}}', "`uuid`"),
        Poison("eventId is no uuid", envelope('{"n": 1}', event_id="order-17"), "Invalid UUID"),
        Poison("no eventType", b'{"eventId": "%s", "payload": {"n": 1}}' % str(uuid4()).encode(), "`eventType`"),
        Poison("no payload", b'{"eventId": "%s", "eventType": "ping.sent.v1"}' % str(uuid4()).encode(), "`payload`"),
        Poison("payload is a list", envelope("[1]"), "Expected `object`", True),
        Poison("payload is null", envelope("null"), "Expected `object`", True),
        Poison("a field is missing", envelope('{"mood": "fine"}'), "missing required field `n`", True),
        Poison("a field of another kind", envelope('{"n": "seven"}'), "at /n: Expected `int`, got `str`", True),
        Poison("unknown version", envelope('{"n": 1}', event_type="ping.sent.v7"), "No handler", True),
        Poison("unknown type", envelope('{"n": 1}', event_type="ping.lost.v1"), "No handler", True),
        Poison("endless type", envelope('{"n": 1}', event_type="p" * 5000), "length <= 64"),
        Poison("a NUL in the type", envelope('{"n": 1}', event_type="ping.sent\\u0000.v1"), "NUL"),
        Poison("a type for another topic", envelope('{"n": "seven"}', event_type=Pong.EVENT), "at /n: Expected", True),
        Poison("1.5 MB", envelope('{"n": 1, "mood": "' + "x" * 1_500_000 + '"}'), "more than 1048576"),
        Poison("nested 10,000 deep", envelope("[" * 10_000 + "]" * 10_000), "recursion"),
        Poison("nested beside the payload", envelope('{"n": 1}', more=', "x": ' + '{"a":' * 10_000), "recursion"),
        Poison("NaN", envelope('{"n": NaN}'), "malformed"),
        Poison("infinite", envelope('{"n": -Infinity}'), "malformed"),
        Poison("1e400", envelope('{"n": 1e400}'), "out of range", True),
        Poison("an amount that is no number", envelope('{"n": 1, "amount": "NaNs"}'), "decimal", True),
        Poison("5,000 digits", envelope('{"n": ' + "9" * 5000 + "}"), "out of range", True),
        Poison("half of a surrogate pair", envelope('{"n": 1, "mood": "\\ud800"}'), "not an event"),
    ]


def identity(poison: Poison) -> UUID | None:
    """The eventId, where there is a usable one."""
    if not poison.has_event_id or poison.value is None:
        return None
    start = poison.value.index(b'"eventId": "') + len(b'"eventId": "')
    return UUID(poison.value[start : start + 36].decode())
