"""Aside: what could not be sent and what could not be handled is the poison that is known, and nothing else."""

from __future__ import annotations

from dovecote.database import Record
from dovecote.service import Service
from dovecote.settled import READ_SETTLED
from ecom.audit import messaging_store as store
from ecom.audit.evidence import GRACE, Evidence


async def unsent(evidence: Evidence) -> list[str]:
    """I16: nothing stays PENDING, and nothing has FAILED but what had to; what waits for that may wait."""
    return [
        f"{name}: record {row['id']} ({row['event_type']}) is {row['status']}"
        for name, service in evidence.services.items()
        for row in await _stuck(service, evidence)
        if row["culprit"] not in evidence.given.failed_events
    ]


async def _stuck(service: Service, evidence: Evidence) -> list[Record]:
    line = await service.database.fetchval(READ_SETTLED)
    return await service.database.fetch(store.OUTBOX_STUCK, evidence.now - GRACE, line)


async def unhandled(evidence: Evidence) -> list[str]:
    """I17: the open dead letters are the poison that is known, in both directions."""
    expected, met, rows = evidence.given.dead_letters, set[str](), []
    for service in evidence.services.values():
        for row in await service.database.fetch(store.DEAD_LETTERS, service.group):
            if row["status"] == "DONE":
                continue
            place = f"{row['topic']}/{row['partition']}/{row['offset']}"
            names = {str(row["event_id"]), place}
            names |= {f"{service.group} {name}" for name in names}
            met |= expected & names
            if not expected & names:
                rows.append(f"{service.group} {place}: {row['status']}, no known poison, eventId {row['event_id']}")
    return rows + [f"{name}: known poison, and no open dead letter" for name in expected - met]
