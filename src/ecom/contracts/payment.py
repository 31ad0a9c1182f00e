"""Events that the payment service writes."""

from typing import ClassVar, Literal

from dovecote.events import Event
from ecom.contracts import Amount, Currency, Instant, OrderId, ProviderPaymentId, UserId, Word

CAPTURE_DECLINED = "CAPTURE_DECLINED"
"""Reason of a payment.failed.v1 that follows the order's payment.authorized.v1: the held amount could not be taken."""


class PaymentAuthorized(Event, frozen=True):
    """The provider holds the order's amount."""

    EVENT: ClassVar[str] = "payment.authorized.v1"

    order_id: OrderId
    payment_id: Word
    provider_payment_id: ProviderPaymentId
    status: Literal["AUTHORIZED"]
    occurred_at: Instant
    reason: str | None = None
    user_id: UserId | None = None
    amount: Amount | None = None
    currency: Currency | None = None


class PaymentFailed(Event, frozen=True):
    """The provider refused, on its own word; after an authorization the reason is CAPTURE_DECLINED."""

    EVENT: ClassVar[str] = "payment.failed.v1"

    order_id: OrderId
    payment_id: Word
    provider_payment_id: ProviderPaymentId
    status: Literal["FAILED"]
    occurred_at: Instant
    reason: str | None = None
    user_id: UserId | None = None


class PaymentCaptured(Event, frozen=True):
    """The held amount was taken."""

    EVENT: ClassVar[str] = "payment.captured.v1"

    order_id: OrderId
    payment_id: Word
    amount: Amount
    currency: Currency
    occurred_at: Instant
    reason: str | None = None


class PaymentRefunded(Event, frozen=True):
    """A taken amount was given back."""

    EVENT: ClassVar[str] = "payment.refunded.v1"

    order_id: OrderId
    payment_id: Word
    amount: Amount
    currency: Currency
    occurred_at: Instant
    reason: str | None = None
