"""Effects: an event, however often it is delivered, acts once."""

from __future__ import annotations

from ecom.audit import store
from ecom.audit.evidence import Evidence


async def repeated_movements(evidence: Evidence) -> list[str]:
    """I13: one change by hand moves a SKU once."""
    return [
        f"{row['sku']}, trace {row['trace_id']}: moved {row['times']} times at once"
        for row in await evidence.inventory.fetch(store.REPEATED_MOVEMENTS)
    ]


async def repeated_calls(evidence: Evidence) -> list[str]:
    """I13: one intent to call the provider an order and operation."""
    return [
        f"{row['kind']} of {row['subject']}: {row['times']} times"
        for row in await evidence.payment.fetch(store.REPEATED_CALLS)
    ]


async def repeated_mails(evidence: Evidence) -> list[str]:
    """I13: one mail an event, in one open intent."""
    mails = [
        f"mail {row['event_id']}: {row['times']} times"
        for row in await evidence.notification.fetch(store.REPEATED_MAILS)
    ]
    intents = [
        f"mail {row['event_id']}: in {row['times']} open intents"
        for row in await evidence.notification.fetch(store.REPEATED_MAIL_INTENTS)
    ]
    return mails + intents
