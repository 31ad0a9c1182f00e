"""What a payment is and what becomes of it when it is told a fact, without I/O or clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

import msgspec
from msgspec.structs import replace as changed

from dovecote.events import Event
from ecom.contracts.payment import (
    CAPTURE_DECLINED,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentFailed,
    PaymentRefunded,
)
from ecom.payment.money import amount_of
from ecom.payment.stages import COURSE, IN_HAND, SETTLED, STEPS, Fact, Outcome, Say, Settlement, Stage, Status, Step
from ecom.provider.interface import Operation


class CaptureOn(Enum):
    """When the held amount is taken; the second is for an order service that never says order.confirmed."""

    CONFIRMED = "on-confirmed"
    AUTHORIZATION = "on-authorization"


class Mode(Enum):
    """Who asks for the authorization: we do, or the customer elsewhere, and a webhook tells us."""

    AUTO = "auto"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration says about payments."""

    mode: Mode = Mode.AUTO
    capture: CaptureOn = CaptureOn.CONFIRMED
    attempts_max: int = 3


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """One order's payment. Amount, currency and user are unknown until an intent or the order tells them."""

    order_id: str
    payment_id: str
    created_at: datetime
    updated_at: datetime
    trace_id: str
    stage: Stage = Stage.WAITING
    status: Status = Status.PENDING
    unknown_since: datetime | None = None
    amount_minor: int | None = None
    currency: str | None = None
    user_id: int | None = None
    payment_method: str | None = None
    provider_payment_id: str | None = None
    idempotency_key: str | None = None
    failure_reason: str | None = None
    sequence: int = 0

    @property
    def settlement(self) -> Settlement:
        """What became of the money."""
        if self.unknown_since is not None:
            return Settlement.UNKNOWN
        return SETTLED.get(self.stage, Settlement.NONE)

    @property
    def reference(self) -> str:
        """The provider's name for it, or ours until the provider has given one."""
        return self.provider_payment_id or self.payment_id


class Terms(msgspec.Struct, frozen=True):
    """What an order says of its payment, or what a client claims before the order has come."""

    user_id: int
    amount_minor: int
    currency: str
    payment_method: str | None = None


class News(msgspec.Struct, frozen=True):
    """A fact with what came with it."""

    fact: Fact
    terms: Terms | None = None  # with ORDERED and CLAIMED
    idempotency_key: str | None = None  # with CLAIMED
    reason: str | None = None  # why it was declined, or why the order is over
    provider_payment_id: str | None = None


class Decision(msgspec.Struct, frozen=True):
    """A payment before and after one fact, what the table calls it, what to ask of the provider, what to publish."""

    before: Payment
    after: Payment
    outcome: Outcome
    ask: Operation | None = None
    events: tuple[Event, ...] = ()


def decide(payment: Payment, news: News, now: datetime, rules: Rules) -> Decision:
    """Take one fact. The caller holds the payment's row."""
    outcome = COURSE[payment.stage, _fact(payment, news)]
    told = _with_terms(payment, news, outcome)
    step = STEPS.get(outcome)
    if step is None:
        return Decision(payment, _noted(payment, told, news, outcome, now), outcome)
    if step.ask and told.amount_minor is None:
        # held for an order that ended before anybody said what it costs: it cannot be let go yet
        return Decision(payment, payment, Outcome.TOO_EARLY)
    after = _stepped(told, step, news, now)
    event = _event(after, step.say, news, now) if step.say else None
    decision = Decision(payment, after, outcome, step.ask, (event,) if event else ())
    if decision.ask is Operation.AUTHORIZE and rules.mode is Mode.WEBHOOK:
        return changed(decision, ask=None)
    if outcome is Outcome.HOLD and rules.capture is CaptureOn.AUTHORIZATION:
        captured = decide(after, News(Fact.CONFIRMED), now, rules)
        return changed(decision, after=captured.after, ask=captured.ask)
    return decision


def _fact(payment: Payment, news: News) -> Fact:
    """The fact as this payment hears it: an order that is placed again must be the one that is known."""
    terms = news.terms
    if news.fact is not Fact.ORDERED or terms is None or payment.stage in (Stage.WAITING, Stage.ENDED):
        return news.fact
    same = (terms.amount_minor, terms.currency) == (payment.amount_minor, payment.currency)
    return Fact.ORDERED if same else Fact.ORDERED_OTHERWISE


def _with_terms(payment: Payment, news: News, outcome: Outcome) -> Payment:
    """The order's amount counts, whatever a client claimed before it; the first order.created is the order."""
    terms = news.terms
    if news.fact is Fact.CLAIMED:
        payment = changed(payment, idempotency_key=payment.idempotency_key or news.idempotency_key)
        if payment.amount_minor is not None:
            return payment
    if terms is None or outcome not in (Outcome.NOTE, Outcome.ASK):
        return payment
    return changed(
        payment,
        user_id=terms.user_id,
        amount_minor=terms.amount_minor,
        currency=terms.currency,
        payment_method=terms.payment_method,
    )


def _noted(before: Payment, told: Payment, news: News, outcome: Outcome, now: datetime) -> Payment:
    """A payment that stays at its stage: what it was told of itself, and that the provider owes an answer."""
    if told.provider_payment_id is None and news.provider_payment_id is not None:
        # a webhook by our name came before the provider's answer: its next one may use the provider's
        told = changed(told, provider_payment_id=news.provider_payment_id)
    if outcome in (Outcome.LEAVE_OPEN, Outcome.LEAVE_TO_PEOPLE) and told.unknown_since is None:
        told = changed(told, unknown_since=now)
    return told if told == before else changed(told, updated_at=now)


def _stepped(payment: Payment, step: Step, news: News, now: datetime) -> Payment:
    # an order that ends while the provider owes an answer leaves the question open
    still_asked = IN_HAND.get(payment.stage) is IN_HAND.get(step.to)
    failed = step.status is Status.FAILED or news.fact in (Fact.DECLINED, Fact.CAPTURE_DECLINED)
    over = news.fact is Fact.ENDED
    return changed(
        payment,
        stage=step.to,
        status=step.status or payment.status,
        unknown_since=payment.unknown_since if still_asked else None,
        provider_payment_id=payment.provider_payment_id or news.provider_payment_id,
        failure_reason=_reason(news, payment) if failed or over else payment.failure_reason,
        sequence=payment.sequence + (1 if step.say else 0),
        updated_at=now,
    )


def _reason(news: News, payment: Payment) -> str | None:
    """Why there is no sale: the first reason is the one kept."""
    if news.fact is Fact.CAPTURE_DECLINED:
        return payment.failure_reason or CAPTURE_DECLINED
    return payment.failure_reason or news.reason


def _event(payment: Payment, say: Say, news: News, now: datetime) -> Event:
    """The event of a step; its payment has been ordered, so that amount and currency are known."""
    if payment.amount_minor is None or payment.currency is None:
        raise ValueError(f"the payment of {payment.order_id} is {payment.stage} without an amount")
    amount, currency = amount_of(payment.amount_minor, payment.currency), payment.currency
    order_id, payment_id = payment.order_id, payment.payment_id
    match say:
        case Say.AUTHORIZED:
            return PaymentAuthorized(
                order_id=order_id,
                payment_id=payment_id,
                provider_payment_id=payment.reference,
                status="AUTHORIZED",
                occurred_at=now,
                user_id=payment.user_id,
                amount=amount,
                currency=currency,
            )
        case Say.FAILED:
            return PaymentFailed(
                order_id=order_id,
                payment_id=payment_id,
                provider_payment_id=payment.reference,
                status="FAILED",
                occurred_at=now,
                reason=payment.failure_reason or news.reason,
                user_id=payment.user_id,
            )
        case Say.CAPTURED | Say.REFUNDED:
            kind = PaymentCaptured if say is Say.CAPTURED else PaymentRefunded
            reason = payment.failure_reason if say is Say.REFUNDED else None
            return kind(
                order_id=order_id,
                payment_id=payment_id,
                amount=amount,
                currency=currency,
                occurred_at=now,
                reason=reason,
            )
