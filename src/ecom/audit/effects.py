"""Effects: an event, however often it is delivered, acts once."""

from __future__ import annotations

from ecom.audit import store
from ecom.audit.evidence import Evidence


async def repeated(evidence: Evidence) -> list[str]:
    """I13: one mail an event and template, one call to the provider an order and operation."""
    mails = [
        f"mail {row['event_id']}: {row['times']} times"
        for row in await evidence.notification.fetch(store.REPEATED_MAILS)
    ]
    calls = [
        f"{row['kind']} of {row['subject']}: {row['times']} times"
        for row in await evidence.payment.fetch(store.REPEATED_CALLS)
    ]
    return mails + calls
