"""What Kafka holds, from offset 0: each record by its eventId, as the audit compares it with outboxes and inboxes."""

from __future__ import annotations

import hashlib
from collections import defaultdict
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
    is a matter for the inboxes. ``unreadable`` holds where those records lie that no reader can open. ``overtaken``
    says where an event of ours lies first only behind a later one of its aggregate. ``ends`` is the offset after the
    last record of a partition; ``lost_before`` the time, in ms, before which a topic's retention has taken records.
    """

    ours: dict[str, dict[UUID, bytes]] = field(default_factory=dict)
    altered: list[UUID] = field(default_factory=list)
    places: dict[str, dict[UUID, Place]] = field(default_factory=dict)
    unreadable: dict[str, list[Place]] = field(default_factory=dict)
    overtaken: list[str] = field(default_factory=list)
    ends: dict[tuple[str, int], int] = field(default_factory=dict)
    lost_before: dict[str, int] = field(default_factory=dict)

    def topic(self, name: str) -> Mapping[UUID, Place]:
        """Where each event of a topic lies first."""
        return self.places.get(name, {})

    def sent_by(self, producer: str) -> Mapping[UUID, bytes]:
        """The digests of what a service's relay sent, by eventId."""
        return self.ours.get(producer, {})


def read(bootstrap: str, topics: Sequence[str], *, since_ms: int = 0) -> TopicLog:
    """Read topics up to their ends as they are now (blocking)."""
    return collect(read_topics(bootstrap, topics), since_ms=since_ms)


def collect(records: Iterable[LogRecord], *, since_ms: int = 0) -> TopicLog:
    """Sort records by eventId; the first of a repeated one counts, and a repeat with other bytes is altered.

    Records older than ``since_ms`` may have been forgotten by their readers: they have no place.
    """
    log = TopicLog()
    # The highest sequence so far of each aggregate in a partition.
    heights: dict[tuple[str, int, str], dict[bytes | None, int]] = defaultdict(dict)
    for record in records:
        place = (record.topic, record.partition, record.offset)
        _note_bounds(log, record)
        try:
            event = envelope.decode(record.value)
        except EnvelopeError:
            if record.timestamp_ms >= since_ms:
                log.unreadable.setdefault(record.topic, []).append(place)
            continue
        if record.timestamp_ms >= since_ms:
            log.places.setdefault(record.topic, {}).setdefault(event.event_id, place)
        sequence = _sequence(record)
        if sequence is None:
            continue
        producer = event.producer or ""
        sent = log.ours.setdefault(producer, {})
        digest = hashlib.md5(record.value or b"", usedforsecurity=False).digest()
        if event.event_id not in sent:
            sent[event.event_id] = digest
            height = heights[record.topic, record.partition, producer]
            if sequence <= height.get(record.key, 0):
                log.overtaken.append(_overtaken(record, sequence, height.get(record.key, 0)))
            height[record.key] = max(sequence, height.get(record.key, 0))
        elif sent[event.event_id] != digest:
            log.altered.append(event.event_id)
    return log


def _note_bounds(log: TopicLog, record: LogRecord) -> None:
    partition = record.topic, record.partition
    if partition not in log.ends and record.offset > 0:
        log.lost_before[record.topic] = max(log.lost_before.get(record.topic, 0), record.timestamp_ms)
    log.ends[partition] = record.offset + 1


def _sequence(record: LogRecord) -> int | None:
    """The aggregate's sequence, 0 where it is no number; None for a record that no relay of ours sent."""
    for name, value in record.headers:
        if name == OURS:
            return int(value) if value is not None and value.isdigit() else 0
    return None


def _overtaken(record: LogRecord, sequence: int, height: int) -> str:
    key = (record.key or b"").decode("utf-8", "replace")
    return f"{record.topic}[{record.partition}] offset {record.offset}: #{sequence} of {key} lies behind #{height}"
