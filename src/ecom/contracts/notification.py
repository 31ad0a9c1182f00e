"""Events that the notification service writes, for operators."""

from typing import ClassVar, Literal
from uuid import UUID

from dovecote.events import Event
from ecom.contracts import Count, Instant, UserId, Word

NOTIFICATION_DEAD_LETTER = "NOTIFICATION_DEAD_LETTER"
"""alertType of a notification that was given up."""


class NotificationAlert(Event, frozen=True):
    """An operator should look at a notification."""

    EVENT: ClassVar[str] = "notification.alert.v1"

    severity: Literal["HIGH"]
    alert_type: Word
    event_id: UUID
    event_type: Word
    reason: str | None
    retries: Count
    created_at: Instant


class NotificationDlq(Event, frozen=True):
    """A notification was given up."""

    EVENT: ClassVar[str] = "notification.dlq.v1"

    event_id: UUID
    event_type: Word
    recipient_email: str
    reason: str | None
    retries: Count
    source_topic: str
    user_id: UserId | None = None
    subject: str | None = None
    body: str | None = None


class NotificationDeadLetter(NotificationDlq, frozen=True):
    """The name that the original writes on the notification.dlq topic: accepted as an alias, never written by us."""

    EVENT: ClassVar[str] = "notification.dead-letter.v1"
