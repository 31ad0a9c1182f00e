"""Events: what was stored was sent, what was sent was stored, what changed was told, what was told was heard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from uuid import UUID

from ecom.audit import store
from ecom.audit.evidence import GRACE, Evidence
from ecom.order.domain import PUBLISHES

_ASKED_AT_ONCE = 10_000


async def not_sent_as_stored(evidence: Evidence) -> list[str]:
    """I10: every SENT record lies in Kafka with the same bytes, and no repeat of it has others."""
    rows = [f"{event_id}: lies in Kafka with different contents" for event_id in evidence.log.altered]
    for name, service in evidence.services.items():
        sent = evidence.log.sent_by(name)
        for row in await service.database.fetch(store.OUTBOX_SENT, evidence.kept_since):
            digest = sent.get(row["event_id"])
            if digest != row["digest"]:
                state = "is not in Kafka" if digest is None else "differs in Kafka"
                rows.append(f"{row['event_id']} of {name} is SENT and {state}")
    return rows


async def phantoms(evidence: Evidence) -> list[str]:
    """I10: every event that one of our relays sent has exactly one outbox record."""
    rows = []
    since_ms = evidence.kept_since.timestamp() * 1000
    for name, service in evidence.services.items():
        for chunk in _chunks(_younger(evidence.log.sent_by(name), since_ms)):
            unknown = await service.database.fetch(store.OUTBOX_KNOWN, chunk)
            rows += [f"{row['event_id']} says it is of {name}" for row in unknown]
    return rows


async def gaps(evidence: Evidence) -> list[str]:
    """I11: the sequences of an aggregate follow each other without a gap."""
    return [
        f"{name}: {row['aggregate_type']} {row['aggregate_id']} has {row['kept']} of {row['first']} to {row['last']}"
        for name, service in evidence.services.items()
        for row in await service.database.fetch(store.OUTBOX_WITH_GAPS, evidence.kept_since)
    ]


async def untold(evidence: Evidence) -> list[str]:
    """I11: each change of an order's status has its event and each event its change; counters agree elsewhere."""
    statuses = [str(status) for status in PUBLISHES]
    rows = [
        f"{row['order_id']} #{row['sequence']}: status {row['status']}, event {row['event_type']}"
        for row in await evidence.order.fetch(
            store.ORDER_EVENTS_AMISS, statuses, list(PUBLISHES.values()), evidence.kept_since
        )
    ]
    for database, question in (
        (evidence.inventory, store.HOLDS_AND_EVENTS_AMISS),
        (evidence.payment, store.PAYMENTS_AND_EVENTS_AMISS),
        (evidence.product, store.PRODUCTS_AND_EVENTS_AMISS),
    ):
        if database is None:
            continue
        rows += [
            f"{row['id']}: counts {row['sequence']} events, said {row['said']}"
            for row in await database.fetch(question, evidence.kept_since)
        ]
    return rows


async def unheard(evidence: Evidence) -> list[str]:
    """I12: every event of a topic that a service hears has its verdict in the service's inbox."""
    rows = []
    for name, service in evidence.services.items():
        letters = {
            (row["topic"], row["partition"], row["offset"])
            for row in await service.database.fetch(store.DEAD_LETTERS, service.group)
        }
        for topic in dict.fromkeys(service.heard):
            places = evidence.log.topic(topic)
            for chunk in _chunks(places):
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


async def stuck(evidence: Evidence) -> list[str]:
    """I16: nothing stays PENDING, and nothing has FAILED."""
    return [
        f"{name}: record {row['id']} ({row['event_type']}) is {row['status']}"
        for name, service in evidence.services.items()
        for row in await service.database.fetch(store.OUTBOX_STUCK, evidence.now - GRACE)
    ]


def _younger(event_ids: Iterable[UUID], since_ms: float) -> Iterator[UUID]:
    """Ids made since then: ours are version 7, whose first 48 bits are milliseconds."""
    return (event_id for event_id in event_ids if event_id.int >> 80 >= since_ms)


def _chunks(event_ids: Iterable[UUID]) -> Iterator[list[UUID]]:
    iterator = iter(event_ids)
    while chunk := list(islice(iterator, _ASKED_AT_ONCE)):
        yield chunk
