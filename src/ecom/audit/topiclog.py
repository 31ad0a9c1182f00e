"""What Kafka holds, from offset 0: each record by its eventId, as the audit compares it with outboxes and inboxes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from dovecote import envelope
from dovecote.errors import EnvelopeError
from dovecote.kafka import LogRecord, read_topics

# Every relay of ours sends it; a foreign producer does not know it.
OURS = "aggregate-sequence"

Place = tuple[str, int, int]


@dataclass(slots=True)
class TopicLog:
    """The records of all topics, by topic and by producer.

    ``ours`` are the contents that our relays sent under each eventId: an event that somebody else sends under it
    is a matter for the inboxes. ``unreadable`` holds where those records lie that no reader can open.
    """

    ours: dict[str, dict[UUID, str]] = field(default_factory=dict)
    altered: list[UUID] = field(default_factory=list)
    places: dict[str, dict[UUID, Place]] = field(default_factory=dict)
    unreadable: dict[str, list[Place]] = field(default_factory=dict)

    def topic(self, name: str) -> Mapping[UUID, Place]:
        """Where each event of a topic lies first."""
        return self.places.get(name, {})

    def sent_by(self, producer: str) -> Mapping[UUID, str]:
        """The contents that a service's relay sent, by eventId."""
        return self.ours.get(producer, {})


def read(bootstrap: str, topics: Sequence[str]) -> TopicLog:
    """Read topics up to their ends as they are now (blocking)."""
    return collect(read_topics(bootstrap, topics))


def collect(records: Iterable[LogRecord]) -> TopicLog:
    """Sort records by eventId; the first of a repeated one counts, and a repeat with other bytes is altered."""
    log = TopicLog()
    for record in records:
        place = (record.topic, record.partition, record.offset)
        try:
            event = envelope.decode(record.value)
        except EnvelopeError:
            log.unreadable.setdefault(record.topic, []).append(place)
            continue
        log.places.setdefault(record.topic, {}).setdefault(event.event_id, place)
        if any(name == OURS for name, _ in record.headers):
            digest = hashlib.md5(record.value or b"", usedforsecurity=False).hexdigest()
            sent = log.ours.setdefault(event.producer or "", {})
            if sent.setdefault(event.event_id, digest) != digest:
                log.altered.append(event.event_id)
    return log
