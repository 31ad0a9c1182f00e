"""Events that the payment service writes."""

from decimal import Decimal
from typing import ClassVar, Literal

from dovecote.events import Event
from ecom.contracts import Instant

CAPTURE_DECLINED = "CAPTURE_DECLINED"
"""Reason of a payment.failed.v1 that follows the order's payment.authorized.v1: the held amount could not be taken."""


class PaymentAuthorized(Event, frozen=True):
    """The provider holds the order's amount."""

    EVENT: ClassVar[str] = "payment.authorized.v1"

    order_id: str
    payment_id: str
    provider_payment_id: str
    status: Literal["AUTHORIZED"]
    occurred_at: Instant
    reason: str | None = None
    user_id: int | None = None
    amount: Decimal | None = None
    currency: str | None = None


class PaymentFailed(Event, frozen=True):
    """The provider refused, on its own word; after an authorization the reason is CAPTURE_DECLINED."""

    EVENT: ClassVar[str] = "payment.failed.v1"

    order_id: str
    payment_id: str
    provider_payment_id: str
    status: Literal["FAILED"]
    occurred_at: Instant
    reason: str | None = None
    user_id: int | None = None


class PaymentCaptured(Event, frozen=True):
    """The held amount was taken."""

    EVENT: ClassVar[str] = "payment.captured.v1"

    order_id: str
    payment_id: str
    amount: Decimal
    currency: str
    occurred_at: Instant
    reason: str | None = None


class PaymentRefunded(Event, frozen=True):
    """A taken amount was given back."""

    EVENT: ClassVar[str] = "payment.refunded.v1"

    order_id: str
    payment_id: str
    amount: Decimal
    currency: str
    occurred_at: Instant
    reason: str | None = None
