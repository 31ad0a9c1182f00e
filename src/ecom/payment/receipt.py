"""A payment as clients see it, over HTTP and in the answers that are kept for a repetition."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from ecom.payment.domain import Payment
from ecom.payment.money import amount_of


class PaymentAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """A payment as clients see it."""

    payment_id: str
    order_id: str
    user_id: int | None
    amount: Decimal | None
    currency: str | None
    status: str
    provider_payment_id: str
    idempotency_key: str
    failure_reason: str | None
    created_at: datetime
    updated_at: datetime
    settlement: str


keep = msgspec.json.Encoder().encode
kept = msgspec.json.Decoder(PaymentAnswer).decode
"""Both keep every digit of the amount, and of the instants the microseconds that PostgreSQL has."""


def shown(payment: Payment) -> PaymentAnswer:
    """What clients are told of a payment."""
    return PaymentAnswer(
        payment_id=payment.payment_id,
        order_id=payment.order_id,
        user_id=payment.user_id,
        amount=amount(payment.amount_minor, payment.currency),
        currency=payment.currency,
        status=payment.status.value,
        provider_payment_id=payment.reference,
        idempotency_key=payment.idempotency_key or f"order:{payment.order_id}",
        failure_reason=payment.failure_reason,
        created_at=payment.created_at,
        updated_at=payment.updated_at,
        settlement=payment.settlement.value,
    )


def amount(minor: int | None, currency: str | None) -> Decimal | None:
    """An amount where both are known."""
    return None if minor is None or currency is None else amount_of(minor, currency)
