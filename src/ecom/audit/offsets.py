"""Offsets: no group goes back, and at rest every group has read all that it hears."""

from __future__ import annotations

from itertools import pairwise

from ecom.audit.evidence import Evidence


async def fallen(evidence: Evidence) -> list[str]:
    """I15, at any time: between two looks no committed offset fell, unless its partition was assigned anew meanwhile.

    Offsets that a broker has forgotten have fallen, too.
    """
    return [
        f"{group} on {topic}[{partition}]: committed {before}, then {after.committed.get(seat, 'nothing')}"
        for first, after in pairwise(evidence.vitals)
        for seat, before in first.committed.items()
        for group, topic, partition in [seat]
        if after.committed.get(seat, -1) < before and first.assigned.get(seat) == after.assigned.get(seat)
    ]


async def short_of_the_end(evidence: Evidence) -> list[str]:
    """I15, at rest: each group has committed the end of each partition that it hears."""
    if not evidence.vitals:
        return []
    committed = evidence.vitals[-1].committed
    return [
        f"{service.group} on {topic}[{partition}]: committed {offset}, end {end}"
        for service in evidence.services.values()
        for (topic, partition), end in evidence.log.ends.items()
        if topic in service.heard and (offset := committed.get((service.group, topic, partition))) != end
    ]
