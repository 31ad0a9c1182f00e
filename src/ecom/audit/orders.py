"""Orders: none waits for ever."""

from __future__ import annotations

from ecom.audit import store
from ecom.audit.evidence import GRACE, Evidence


async def overdue(evidence: Evidence) -> list[str]:
    """I4: an order is answered, or timed out soon after its deadline."""
    return [
        f"{row['id']}: due {row['deadline']:%Y-%m-%dT%H:%M:%SZ}"
        for row in await evidence.order.fetch(store.ORDERS_OVERDUE, evidence.now - GRACE)
    ]
