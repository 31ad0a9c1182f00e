"""Intents of clients: one order has one payment, whoever asks for it first and however often."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from dovecote.database import Database
from dovecote.errors import DovecoteError
from dovecote.events import Traced
from ecom.payment import course, store
from ecom.payment.course import Message
from ecom.payment.domain import News, Payment, Rules, Terms
from ecom.payment.stages import Fact


@dataclass(frozen=True, slots=True)
class Claim:
    """What a client asks for: the amount is a claim only, the order's amount is what is charged."""

    order_id: str
    key: str
    terms: Terms
    because: Traced


class KeyReused(DovecoteError):
    """An idempotency key that belongs to another order."""


def claiming(
    database: Database, rules: Rules
) -> Callable[[Sequence[Claim]], Awaitable[Sequence[Payment | DovecoteError]]]:
    """How claims that arrive together are answered: one transaction, one answer for each."""

    async def act(claims: Sequence[Claim]) -> Sequence[Payment | DovecoteError]:
        wanted: dict[str, str] = {}
        for claim in claims:
            wanted.setdefault(claim.key, claim.order_id)
        async with database.transaction() as tx:
            owners = await store.claim_keys(tx, wanted)
            good = [claim for claim in claims if owners[claim.key] == claim.order_id]
            messages = [
                Message(
                    claim.order_id,
                    News(Fact.CLAIMED, terms=claim.terms, idempotency_key=claim.key),
                    claim.because,
                    opens=True,
                )
                for claim in good
            ]
            decisions = await course.move(tx, messages, rules)
        payments = {each.after.order_id: each.after for each in decisions if each is not None}
        return [
            payments[claim.order_id]
            if owners[claim.key] == claim.order_id
            else KeyReused("This idempotencyKey belongs to another order; use a new key.")
            for claim in claims
        ]

    return act
