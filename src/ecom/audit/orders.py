"""Orders: none waits for ever, and each has the history that the saga allows."""

from __future__ import annotations

from ecom.audit import store
from ecom.audit.evidence import ENDED, GRACE, Evidence
from ecom.order.domain import ALLOWED


async def overdue(evidence: Evidence) -> list[str]:
    """I4: an order is answered, or timed out soon after its deadline."""
    return [
        f"{row['id']}: due {row['deadline']:%Y-%m-%dT%H:%M:%SZ}"
        for row in await evidence.order.fetch(store.ORDERS_OVERDUE, evidence.now - GRACE)
    ]


async def moved_amiss(evidence: Evidence) -> list[str]:
    """I9: no order leaves a final status, or takes a way that no table knows."""
    pairs = sorted(ALLOWED)
    return [
        f"{row['order_id']} #{row['sequence']}: {row['from_status']} to {row['to_status']}"
        for row in await evidence.order.fetch(
            store.TRANSITIONS_FORBIDDEN,
            sorted(ENDED),
            [before for before, _ in pairs],
            [after for _, after in pairs],
        )
    ]


async def decided_twice(evidence: Evidence) -> list[str]:
    """I9: a decision has one winner: one change a sequence, one way out of a status."""
    return [
        f"{row['order_id']}: left {row['from_status']} {row['ways']} times, for {row['winners']}"
        for row in await evidence.order.fetch(store.DECISIONS_WITH_TWO_WINNERS)
    ]


async def history_broken(evidence: Evidence) -> list[str]:
    """I9: an order's changes follow each other from PAYMENT_PENDING to where it stands now."""
    return [
        f"{row['order_id']} #{row['sequence']}: {row['was']}, and its history says {row['told']}"
        for row in await evidence.order.fetch(store.HISTORIES_BROKEN)
    ]
