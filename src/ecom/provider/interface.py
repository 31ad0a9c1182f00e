"""What payment asks of a provider: five questions, three answers, keys that make asking twice harmless."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Operation(StrEnum):
    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"


class Outcome(StrEnum):
    APPROVED = "APPROVED"
    DECLINED = "DECLINED"
    # A timeout, a 5xx, a closed port, "still working on it": neither success nor failure. Ask again with the
    # same key.
    UNKNOWN = "UNKNOWN"


class Held(StrEnum):
    """What a provider holds under one of our references."""

    NOTHING = "NOTHING"
    DECLINED = "DECLINED"
    AUTHORIZED = "AUTHORIZED"
    CAPTURED = "CAPTURED"
    VOIDED = "VOIDED"
    REFUNDED = "REFUNDED"
    UNKNOWN = "UNKNOWN"


# The reasons that payment acts upon; every other reason is only shown to people.
NOT_FOUND = "NOT_FOUND"
ALREADY_CAPTURED = "ALREADY_CAPTURED"
ALREADY_VOIDED = "ALREADY_VOIDED"
ALREADY_REFUNDED = "ALREADY_REFUNDED"
AMOUNT_MISMATCH = "AMOUNT_MISMATCH"


@dataclass(frozen=True, slots=True)
class Request:
    """One operation. The key is the provider's promise that asking again is the same operation, not a second
    one.
    """

    key: str
    reference: str
    amount_minor: int
    currency: str
    payment_method: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    outcome: Outcome
    provider_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a look up by our reference showed. NOTHING is only a hint: a request may still be on its way.

    Amount and currency are those of the authorization; None where the provider does not say.
    """

    held: Held
    provider_id: str | None = None
    reason: str | None = None
    amount_minor: int | None = None
    currency: str | None = None


class PaymentProvider(Protocol):
    """Each call takes many requests and yields each answer as it comes; no request of a call goes unanswered.

    An implementation never raises for one request: what it cannot know is UNKNOWN. One that speaks to an API
    without batches makes single calls with bounded concurrency.
    """

    def authorize(self, requests: Sequence[Request]) -> AsyncIterator[tuple[Request, Answer]]: ...

    def capture(self, requests: Sequence[Request]) -> AsyncIterator[tuple[Request, Answer]]: ...

    def void(self, requests: Sequence[Request]) -> AsyncIterator[tuple[Request, Answer]]: ...

    def refund(self, requests: Sequence[Request]) -> AsyncIterator[tuple[Request, Answer]]: ...

    def look_up(self, references: Sequence[str]) -> AsyncIterator[tuple[str, Found]]: ...

    def connected(self) -> AbstractAsyncContextManager[None]:
        """Within the block connections are kept from call to call; outside of one each call opens its own."""
        ...
