"""Events: what was stored was sent, what was sent was stored, in its order, and what was told was heard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import datetime
from uuid import UUID

from dovecote import Database, Record
from ecom.audit import messaging_store as store
from ecom.audit.evidence import Evidence
from ecom.audit.pages import chunks

_PAGE = 50_000


async def not_sent_as_stored(evidence: Evidence) -> list[str]:
    """I10: every SENT record lies in Kafka with the same bytes, and no repeat of it has others.

    What a topic's retention may have taken is not looked for.
    """
    rows = [f"{event_id}: lies in Kafka with different contents" for event_id in evidence.log.altered]
    for name, service in evidence.services.items():
        sent = evidence.log.sent_by(name)
        async for row in _sent(service.database, evidence.kept_since):
            digest = sent.get(row["event_id"])
            if digest == row["digest"]:
                continue
            if digest is not None:
                rows.append(f"{row['event_id']} of {name} is SENT and differs in Kafka")
            elif _ms(row["sent_at"]) > evidence.log.lost_before.get(row["topic"], 0):
                rows.append(f"{row['event_id']} of {name} is SENT and is not in Kafka")
    return rows


async def phantoms(evidence: Evidence) -> list[str]:
    """I10: every event that one of our relays sent has exactly one outbox record."""
    rows = []
    since_ms = _ms(evidence.kept_since)
    for name, service in evidence.services.items():
        for chunk in chunks(_younger(evidence.log.sent_by(name), since_ms)):
            unknown = await service.database.fetch(store.OUTBOX_KNOWN, chunk)
            rows += [f"{row['event_id']} says it is of {name}" for row in unknown]
    return rows


async def unheard(evidence: Evidence) -> list[str]:
    """I12: every event of a topic that a service hears has its verdict in the service's inbox."""
    rows = []
    for name, service in evidence.services.items():
        letters = {
            (row["topic"], row["partition"], row["offset"])
            for row in await service.database.fetch(store.DEAD_LETTERS, service.group)
        }
        for topic in service.heard:
            places = evidence.log.topic(topic)
            for chunk in chunks(places):
                missing = await service.database.fetch(store.UNHEARD_EVENTS, service.group, chunk)
                rows += [
                    f"{name} has not heard {row['event_id']} of {topic}"
                    for row in missing
                    if places[row["event_id"]] not in letters
                ]
            rows += [
                f"{name} has not heard {place[0]}[{place[1]}] offset {place[2]}, which cannot be read"
                for place in evidence.log.unreadable.get(topic, ())
                if place not in letters
            ]
    return rows


async def out_of_order(evidence: Evidence) -> list[str]:
    """I14: the first occurrences of an aggregate's events in a partition stand in the order of their numbers."""
    return list(evidence.log.overtaken)


async def _sent(database: Database, since: datetime) -> AsyncIterator[Record]:
    """Every SENT record that cleanup has not reached, a page at a time."""
    after = 0
    while page := await database.fetch(store.OUTBOX_SENT, since, after, _PAGE):
        for row in page:
            yield row
        after = page[-1]["id"]


def _younger(event_ids: Iterable[UUID], since_ms: float) -> Iterator[UUID]:
    """Ids made since then: ours are version 7, whose first 48 bits are milliseconds."""
    return (event_id for event_id in event_ids if event_id.int >> 80 >= since_ms)


def _ms(moment: datetime) -> float:
    return moment.timestamp() * 1000
