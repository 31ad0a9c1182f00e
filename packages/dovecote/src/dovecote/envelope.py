"""The envelope: what stands around a payload in a Kafka message (wire contract, "Envelope")."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated
from uuid import UUID

import msgspec

from dovecote.errors import EnvelopeError


class DomainEvent(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """The message value, payload still raw. Unknown fields are ignored: a tolerant reader."""

    event_id: UUID
    event_type: Annotated[str, msgspec.Meta(max_length=64)]
    payload: msgspec.Raw
    occurred_at: datetime | None = None
    producer: str | None = None
    schema_version: str | None = None
    trace_id: str | None = None

    def version_clash(self) -> str | None:
        """What is wrong where the schemaVersion is not that of the type's name; other ways to count are left alone."""
        given = self.schema_version
        own = self.event_type.rpartition(".")[2]
        if given is None or given == own or not _VERSION.fullmatch(given):
            return None
        return f"The event is {self.event_type}, and its schemaVersion is {given}."


class _Claim(msgspec.Struct, rename="camel"):
    """The least that can be said of a message that cannot be read: who it claims to be."""

    event_id: str | None = None
    event_type: str | None = None


_VERSION = re.compile(r"v[0-9]+")
_decoder = msgspec.json.Decoder(DomainEvent)
_claim = msgspec.json.Decoder(_Claim)
_encoder = msgspec.json.Encoder()


class _Outgoing(msgspec.Struct, rename="camel", gc=False):
    event_id: UUID
    event_type: str
    occurred_at: str
    producer: str
    schema_version: str
    trace_id: str
    payload: msgspec.Raw


def encode(
    event_id: UUID, event_type: str, occurred_at: datetime, producer: str, trace_id: str, payload: bytes
) -> bytes:
    """The bytes of a message value; the schema version is the last part of the type's name."""
    return _encoder.encode(
        _Outgoing(
            event_id,
            event_type,
            instant(occurred_at),
            producer,
            event_type.rsplit(".", 1)[-1],
            trace_id,
            msgspec.Raw(payload),
        )
    )


def decode(value: bytes | None) -> DomainEvent:
    """Read a message value.

    Raises EnvelopeError where it is null, not JSON, nested too deep, or lacks a usable eventId, type or payload.
    """
    if value is None:
        raise EnvelopeError("The message has a null value; an event needs an envelope.")
    try:
        event = _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EnvelopeError(f"The message is not an event: {error}") from error
    if "\x00" in event.event_type:
        raise EnvelopeError("The message is not an event: its eventType holds a NUL.")
    return event


def claimed_type(value: bytes | None) -> str | None:
    """The eventType that an unreadable message claims, for the operator's eyes; None where even that is hidden."""
    try:
        # NUL is the one character that PostgreSQL's text does not hold.
        return (_claim.decode(value or b"").event_type or "").replace("\x00", "")[:64] or None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


@lru_cache(maxsize=64)  # the events of a transaction share their moment
def instant(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, e.g. ``2026-02-03T04:05:06.789Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
