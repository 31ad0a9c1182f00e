"""Vitals: what one look cannot judge, because only a change of it is wrong. An audit looks at them at least twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dovecote import Service
from dovecote.kafka import Admin
from ecom.audit import messaging_store as store

Seat = tuple[str, str, int]
"""A partition as a group reads it: group, topic, partition."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """One look.

    ``committed`` are the groups' offsets; ``assigned`` changes for a seat whenever somebody has begun to read it;
    ``deadlocks`` counts them for each database.
    """

    committed: Mapping[Seat, int] = field(default_factory=dict)
    assigned: Mapping[Seat, tuple[int, int]] = field(default_factory=dict)
    deadlocks: Mapping[str, int] = field(default_factory=dict)


async def read(services: Iterable[Service], admin: Admin) -> Vitals:
    """Look now. Raises UnavailableError where Kafka or a database does not answer."""
    committed: dict[Seat, int] = {}
    assigned: dict[Seat, tuple[int, int]] = {}
    deadlocks: dict[str, int] = {}
    for service in services:
        group = service.group
        for (topic, partition), offset in (await admin.committed(group, service.heard)).items():
            committed[group, topic, partition] = offset
        # After the offsets: whoever moved them had begun to read before, and that is noted.
        for row in await service.database.fetch(store.ASSIGNMENTS, group):
            assigned[group, row["topic"], row["partition"]] = row["offset"], row["attempts"]
        for row in await service.database.fetch(store.DEADLOCKS):
            deadlocks[row["place"]] = row["deadlocks"]
    return Vitals(committed, assigned, deadlocks)
