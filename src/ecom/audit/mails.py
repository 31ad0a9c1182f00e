"""Mails: whoever ordered is told once of each thing that happens to the order, and nobody else is told anything.

The key of a mail is its event, which its receiver sees in the Message-ID. Which mails an order must have follows from
its events: each that the notification service hears has a template.
"""

from __future__ import annotations

from uuid import UUID

from ecom.audit import store
from ecom.audit.evidence import Evidence
from ecom.audit.pages import chunks

_FIRST = UUID(int=0)
_PAGE = 50_000


async def told_twice(evidence: Evidence) -> list[str]:
    """I18: one mail an order and template."""
    return [
        f"{row['order_id']}, {row['event_type']}: {row['keys']} mails"
        for row in await evidence.notification.fetch(store.MAILS_TWICE)
        if row["order_id"] in evidence.orders
    ]


async def not_told(evidence: Evidence) -> list[str]:
    """I18: each event that was heard of an order has its mail, and the mail has left."""
    service = evidence.mailer
    rows = [
        f"{row['order_id']}, {row['event_type']}: the mail is {row['status']}"
        for row in await service.database.fetch(store.MAILS_UNSENT)
    ]
    rows += [
        f"{row['order_id']}, {row['event_type']}: waits for order.created"
        for row in await service.database.fetch(store.NEWS_WAITING)
        if row["order_id"] in evidence.orders
    ]
    for topic in service.heard:
        for chunk in chunks(evidence.log.topic(topic)):
            rows += [
                f"{row['event_type']} {row['event_id']}: no mail tells of it"
                for row in await service.database.fetch(store.EVENTS_WITHOUT_MAIL, service.group, chunk)
            ]
    return rows


async def strangers_told(evidence: Evidence) -> list[str]:
    """I18: no mail is about an order that nobody placed."""
    return [
        f"{row['order_id']}, {row['event_type']}: a mail, and no such order"
        for row in await evidence.notification.fetch(store.MAILS_OF_NO_ORDER)
    ]


async def not_arrived(evidence: Evidence) -> list[str]:
    """I18: what is SENT has arrived, and what has arrived was written, where a mailbox is given."""
    mailbox = evidence.given.mailbox
    if mailbox is None:
        return []
    rows, after = [], _FIRST
    while page := await evidence.notification.fetch(store.MAILS_SENT, after, _PAGE):
        rows += [f"mail {row['event_id']}: SENT, and never arrived" for row in page if row["event_id"] not in mailbox]
        after = page[-1]["event_id"]
    for chunk in chunks(mailbox):
        rows += [
            f"mail {row['event_id']}: arrived, and nobody wrote it"
            for row in await evidence.notification.fetch(store.MAILS_UNKNOWN, chunk)
        ]
    return rows
