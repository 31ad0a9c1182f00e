"""Facts of the notification service turned into metrics and log lines; no address and no text of a mail is in them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import structlog
from prometheus_client import Counter

log = structlog.get_logger("ecom.notification")

SENT = Counter("notification_sent_total", "Mails that were sent.")
FAILED = Counter("notification_failed_total", "Tries to send a mail that failed.")
DEAD_LETTER = Counter("notification_dead_letter_total", "Mails that were given up.")
REQUEUE = Counter("notification_requeue_total", "Dead letters that an operator sent once more.")


def recorded(*, sent: int, failed: int, dead: int) -> None:
    """Answers of the mail worker were recorded."""
    SENT.inc(sent)
    FAILED.inc(failed)
    DEAD_LETTER.inc(dead)
    if failed:
        log.warning("mails failed", failed=failed, given_up=dead)


def requeued() -> None:
    """An operator asked for a dead letter once more."""
    REQUEUE.inc()


def logged(event_ids: Sequence[UUID]) -> None:
    """Mails were 'sent' by the provider `log`: one line a batch, each mail below it at debug."""
    bound = log.bind()  # once a batch: the lazy logger would look itself up for each mail
    bound.info("mails logged", mails=len(event_ids))
    for event_id in event_ids:
        bound.debug("mail", event_id=event_id)
