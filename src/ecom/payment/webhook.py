"""Webhooks of the provider: signed, told once, and never able to contradict what is final."""

from __future__ import annotations

import hashlib
import hmac
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from dovecote.database import Database
from dovecote.events import Traced
from ecom.payment import course, store
from ecom.payment.course import Message
from ecom.payment.domain import Decision, News, Rules
from ecom.payment.stages import Fact, Outcome, Status

SIGNATURE_HEADER = "X-Razorpay-Signature"


class Webhook(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a webhook."""

    provider_event_id: Annotated[str, Meta(min_length=1, max_length=200)]
    provider_payment_id: Annotated[str, Meta(min_length=1, max_length=80)]
    event_type: Annotated[str, Meta(min_length=1, max_length=64)]
    failure_reason: Annotated[str, Meta(max_length=500)] | None = None


class Reception(StrEnum):
    """What became of a webhook, in the words of the wire."""

    PROCESSED = "processed"
    ALREADY_PROCESSED = "already_processed"
    IGNORED = "ignored"


class UnknownPayment(Exception):
    """No payment that costs anything yet has this reference: the sender should try again, we may hear of it soon."""


_FACTS = {"payment.authorized": Fact.AUTHORIZED, "payment.failed": Fact.DECLINED}
_SAYS = {Fact.AUTHORIZED: Status.AUTHORIZED, Fact.DECLINED: Status.FAILED}


def is_signed(body: bytes, signature: str, secret: str) -> bool:
    """Whether the signature is the hex HMAC-SHA256 of the raw body, compared in constant time."""
    wanted = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted.encode(), signature.strip().lower().encode())


async def receive(database: Database, webhook: Webhook, because: Traced, rules: Rules) -> Reception:
    """Take one webhook. Raises UnknownPayment, and then remembers nothing of it."""
    fact = _FACTS.get(webhook.event_type.lower())
    async with database.transaction() as tx:
        order_id = await store.order_of(tx, webhook.provider_payment_id)
        if order_id is None:
            raise UnknownPayment(webhook.provider_payment_id)
        if not await store.note_webhook(tx, webhook.provider_event_id, order_id, webhook.event_type):
            return Reception.ALREADY_PROCESSED
        if fact is None:
            return Reception.IGNORED
        (decision,) = await course.move(tx, [Message(order_id, _news(fact, webhook), because)], rules)
        if decision is None or decision.outcome is Outcome.TOO_EARLY:
            raise UnknownPayment(webhook.provider_payment_id)
    return _reception(decision, fact)


def _news(fact: Fact, webhook: Webhook) -> News:
    reason = (webhook.failure_reason or "DECLINED_BY_PROVIDER") if fact is Fact.DECLINED else None
    return News(fact, reason=reason)


def _reception(decision: Decision, fact: Fact) -> Reception:
    """Processed where it decided the status; a repetition under a new id is that; all else is a
    contradiction.
    """
    if decision.after.status is not _SAYS[fact]:
        return Reception.IGNORED
    return Reception.PROCESSED if decision.before.status is Status.PENDING else Reception.ALREADY_PROCESSED
