"""From a Kafka message to what a handler may see of it: opened, checked, decoded, or said to be unreadable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any
from uuid import UUID

import msgspec

from dovecote import envelope
from dovecote.errors import EnvelopeError
from dovecote.events import Delivery
from dovecote.handlers import Handlers, Route
from dovecote.inbox import content_hash
from dovecote.kafka import Message

# What a bigint holds; Python refuses to read thousands of digits.
DIGITS_MAX = 18
_EPOCH = datetime.fromtimestamp(0, UTC)


class Received(msgspec.Struct, frozen=True, gc=False):
    """A message as far as it could be read. Without ``delivery`` there is an ``error`` that says why.

    Not followed by the collector, as its like around it: nothing in it points back, and thousands live for a moment.
    """

    message: Message
    event_type: str | None
    event_id: UUID | None = None
    digest: int = 0
    route: Route | None = None
    delivery: Delivery[Any] | None = None
    error: str = ""


class Reader:
    """Reads messages for the handlers of one service."""

    def __init__(self, handlers: Handlers, *, value_bytes_max: int) -> None:
        self._handlers = handlers
        self._value_bytes_max = value_bytes_max

    def read(self, message: Message) -> Received:
        """Never raises: what is wrong with a message is part of the answer."""
        value = message.value
        if value is not None and len(value) > self._value_bytes_max:
            why = f"The message has {len(value)} bytes; more than {self._value_bytes_max} are not handled."
            return Received(message, envelope.claimed_type(value), error=why)
        try:
            event = envelope.decode(value)
        except EnvelopeError as error:
            return Received(message, envelope.claimed_type(value), error=str(error))
        kind, digest = event.event_type, content_hash(value or b"")
        route = self._handlers.routes.get(kind)
        if route is None:
            why = f"No handler of this service reads {kind}."
            return Received(message, kind, event.event_id, digest, error=why)
        if clash := event.version_clash():
            return Received(message, kind, event.event_id, digest, route, error=clash)
        try:
            delivery = _delivery(message, event, route)
        except EnvelopeError as error:
            return Received(message, kind, event.event_id, digest, route, error=str(error))
        return Received(message, kind, event.event_id, digest, route, delivery)


def runs(received: Iterable[Received]) -> list[list[Received]]:
    """What was read in runs of one topic and event type; the order inside a topic is kept."""
    by_topic: dict[str, list[Received]] = {}
    for one in received:
        by_topic.setdefault(one.message.topic, []).append(one)
    return [
        list(run)
        for of_topic in by_topic.values()
        for _, run in groupby(of_topic, key=lambda one: one.route and one.event_type)
    ]


def _delivery(message: Message, event: envelope.DomainEvent, route: Route) -> Delivery[Any]:
    # By position: names cost half a microsecond more.
    return Delivery(
        route.decode(event.payload),
        event.event_id,
        event.event_type,
        _instant(event.occurred_at),
        event.producer or "",
        event.trace_id or event.event_id.hex,
        message.topic,
        message.partition,
        message.offset,
        (message.key or b"").decode("utf-8", "replace"),
        _sequence(message.headers),
    )


def _instant(moment: datetime | None) -> datetime:
    """Event time is information: what a foreign producer leaves out must not hurt a handler that compares it."""
    if moment is None:
        return _EPOCH
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _sequence(headers: Sequence[tuple[str, bytes | None]]) -> int | None:
    for name, value in headers:
        if name == "aggregate-sequence" and value is not None and value.isdigit() and len(value) <= DIGITS_MAX:
            return int(value)
    return None
