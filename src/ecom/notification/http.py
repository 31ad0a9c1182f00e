"""Notification over HTTP: what was written to whom, and what operators do about mails that failed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, QueryParameter

from dovecote.database import Database, Record
from ecom.notification import mail_store, metrics
from ecom.web.problems import Problem

LISTED_MAX = 100
RETRIED_MAX = 1000
# Later than any next try.
ANY_TIME = timedelta(days=36_500)


class NotificationAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """A notification as clients see it; its id is that of its event."""

    id: UUID
    event_id: UUID
    event_type: str
    user_id: int
    recipient_email: str
    subject: str
    body: str
    status: str
    retry_count: int
    last_error: str | None
    created_at: datetime
    updated_at: datetime


class DeadLetterAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """A mail that was given up, as operators see it."""

    id: UUID
    event_id: UUID
    event_type: str
    user_id: int
    recipient_email: str
    subject: str
    body: str
    status: str
    retries: int
    reason: str | None
    source_topic: str
    created_at: datetime
    updated_at: datetime


def routes(database: Database) -> list[HTTPRouteHandler]:
    """The calls of the notification service."""

    @get("/api/notifications")
    async def of_user(
        userId: Annotated[int | None, QueryParameter(ge=-(2**63), le=2**63 - 1)] = None,  # noqa: N803  as on the wire
    ) -> list[NotificationAnswer]:
        if userId is None:
            raise Problem(400, "VALIDATION_FAILED", "userId: is required.", field="userId")
        return [_shown(row) for row in await mail_store.of_user(database, userId, LISTED_MAX)]

    @get("/api/notifications/failed")
    async def failed() -> list[NotificationAnswer]:
        return [_shown(row) for row in await mail_store.failed(database, LISTED_MAX)]

    @get("/api/notifications/dead-letters")
    async def dead_letters() -> list[DeadLetterAnswer]:
        return [DeadLetterAnswer(**row) for row in await mail_store.dead_letters(database, LISTED_MAX)]

    @post("/api/notifications/retry-failed", status_code=200)
    async def retry_failed() -> str:
        async with database.transaction() as tx:
            retried = await mail_store.try_again(tx, due=tx.now + ANY_TIME, limit=RETRIED_MAX)
        return f"{retried} failed notifications are sent once more."

    @post("/api/notifications/dead-letters/{letter_id:str}/requeue", status_code=200)
    async def requeue(letter_id: FromPath[str]) -> str:
        async with database.transaction() as tx:
            done = await mail_store.requeue(tx, _known(letter_id))
        if done.was is None:
            raise _unknown()
        if done.was != "DEAD_LETTER":
            raise Problem(409, "DEAD_LETTER_REQUEUED", f"The dead letter is {done.was} already.")
        metrics.requeued()
        return f"Dead letter {letter_id} is sent once more."

    return [of_user, failed, dead_letters, retry_failed, requeue]


def _known(letter_id: str) -> UUID:
    try:
        return UUID(letter_id)
    except ValueError:
        raise _unknown() from None


def _unknown() -> Problem:
    return Problem(404, "UNKNOWN_DEAD_LETTER", "There is no dead letter with this id.", field="id")


def _shown(row: Record) -> NotificationAnswer:
    return NotificationAnswer(id=row["event_id"], **row)
