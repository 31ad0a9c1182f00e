"""The mail worker: sends what was intended, outside any transaction, and records many answers in one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import msgspec

from dovecote.database import Transaction
from dovecote.events import Cause
from dovecote.intents import Intent, Worker
from ecom.contracts.notification import NOTIFICATION_DEAD_LETTER, NotificationAlert, NotificationDlq
from ecom.notification import mail_store, metrics
from ecom.notification.domain import Names, Notification, Patience, Post, Status, fail
from ecom.notification.smtp import Postman
from ecom.notification.store import MAIL, intend

# A post that has not begun within this time of its lease is left to the next lease.
START_SECONDS_MAX = 60.0
# What the log left when the provider was changed to SMTP: no try, but a post to be written whole from its rows.
TEXT_MISSING = "was meant for the log, without its text"
_posts = msgspec.json.Decoder(Post)
_names = msgspec.json.Decoder(Names)

# How the tries of a post ended, by event: None for a mail that was taken, else why not.
Outcome = Mapping[UUID, str | None]


def log_worker(patience: Patience) -> Worker[Outcome]:
    """``app.notification.provider: log``: a mail is sent by saying so."""

    async def call(intents: Sequence[Intent]) -> AsyncIterator[tuple[Intent, Outcome]]:
        for intent in intents:
            event_ids = _event_ids(intent)
            metrics.logged(event_ids)
            yield intent, dict.fromkeys(event_ids)

    return Worker(MAIL, call, _record(patience), batch_max=10, in_flight_max=20)


def smtp_worker(postman: Postman, patience: Patience) -> Worker[Outcome]:
    """``app.notification.provider: smtp``: the server has the word."""

    async def send(intent: Intent, until: float) -> tuple[Intent, Outcome] | None:
        async with postman.free:
            if asyncio.get_running_loop().time() > until:
                return None
            try:
                mails = _posts.decode(intent.body).mails
            except msgspec.ValidationError:
                return intent, dict.fromkeys(_event_ids(intent), TEXT_MISSING)
            return intent, {each.event_id: await postman.carry(each, written_at=intent.created_at) for each in mails}

    async def call(intents: Sequence[Intent]) -> AsyncIterator[tuple[Intent, Outcome]]:
        until = asyncio.get_running_loop().time() + START_SECONDS_MAX
        async with postman.round():
            tries = [asyncio.create_task(send(intent, until)) for intent in intents]
            try:
                for ended in asyncio.as_completed(tries):
                    if (answer := await ended) is not None:
                        yield answer
            finally:
                for one in tries:
                    one.cancel()

    return Worker(MAIL, call, _record(patience), batch_max=100, in_flight_max=200, lease=timedelta(minutes=3))


def _event_ids(intent: Intent) -> list[UUID]:
    return [mail.event_id for mail in _names.decode(intent.body).mails]


Answers = Sequence[tuple[Intent, Outcome]]


def _record(patience: Patience) -> Callable[[Transaction, Answers], Awaitable[None]]:
    async def record(tx: Transaction, answers: Answers) -> None:
        """SENT by one statement; a failed try waits for the next one, or the mail is given up and that is said."""
        ended = [pair for _, outcome in answers for pair in outcome.items()]
        sent = [event_id for event_id, error in ended if error is None]
        unwritten = [event_id for event_id, error in ended if error == TEXT_MISSING]
        errors = {event_id: error for event_id, error in ended if error not in (None, TEXT_MISSING)}
        if sent:
            await mail_store.mark_sent(tx, sent)
        if unwritten:
            rows = (await mail_store.lock(tx, unwritten)).values()
            intend(tx, [each.mail for each in rows if each.status is Status.PENDING])
        dead = await _keep_failures(tx, errors, patience) if errors else 0
        for intent, _ in answers:
            tx.settle(intent)
        metrics.recorded(sent=len(sent), failed=len(errors), dead=dead)

    return record


async def _keep_failures(tx: Transaction, errors: Mapping[UUID, str], patience: Patience) -> int:
    before = await mail_store.lock(tx, list(errors))
    after = [fail(each, errors[each.event_id], patience, tx.now) for each in before.values()]
    changed = [each for each in after if each != before[each.event_id]]
    if changed:
        await mail_store.keep_failures(tx, changed)
    dead = [each for each in changed if each.status is Status.DEAD_LETTER]
    for each in dead:
        _say_given_up(tx, each)
    return len(dead)


def _say_given_up(tx: Transaction, given_up: Notification) -> None:
    """Two events for operators, the last two of the notification's sequence."""
    cause = Cause(given_up.trace_id)
    tx.publish(
        NotificationDlq(
            event_id=given_up.event_id,
            event_type=given_up.event_type,
            recipient_email=given_up.mail.to,
            reason=given_up.last_error,
            retries=given_up.retry_count,
            source_topic=given_up.source_topic,
            user_id=given_up.user_id,
            subject=given_up.mail.subject,
            body=given_up.mail.body,
        ),
        of=given_up.aggregate(-1),
        because=cause,
    )
    tx.publish(
        NotificationAlert(
            severity="HIGH",
            alert_type=NOTIFICATION_DEAD_LETTER,
            event_id=given_up.event_id,
            event_type=given_up.event_type,
            reason=given_up.last_error,
            retries=given_up.retry_count,
            created_at=tx.now,
        ),
        of=given_up.aggregate(),
        because=cause,
    )
