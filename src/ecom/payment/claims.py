"""Intents of clients: one order has one payment, whoever asks for it first; one key has one answer, however often."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from dovecote.database import Database
from dovecote.errors import DovecoteError
from dovecote.events import Traced
from ecom.payment import course, store
from ecom.payment.course import Message
from ecom.payment.domain import News, Rules, Terms
from ecom.payment.receipt import PaymentAnswer, keep, kept, shown
from ecom.payment.stages import Fact
from ecom.payment.store import Key

Answer = PaymentAnswer | DovecoteError

_IN_USE = "A request with this idempotency key is still running; send yours again."
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Claim:
    """What a client asks for: the amount is a claim only, the order's amount is what is charged."""

    order_id: str
    key: str
    terms: Terms
    because: Traced

    @property
    def body_hash(self) -> bytes:
        """What tells it from another claim under the same key."""
        asked = (self.order_id, self.terms.user_id, self.terms.amount_minor, self.terms.currency)
        return hashlib.blake2b(_encode(asked), digest_size=16).digest()


class KeyReused(DovecoteError):
    """An idempotency key that came with another body before."""


class KeyInUse(DovecoteError):
    """An idempotency key whose first request has no answer yet."""


def claiming(database: Database, rules: Rules) -> Callable[[Sequence[Claim]], Awaitable[Sequence[Answer]]]:
    """How claims that arrive together are answered: one transaction, one answer for each."""

    async def act(claims: Sequence[Claim]) -> Sequence[Answer]:
        async with database.transaction() as tx:
            keys = {claim.key for claim in claims}
            free = await store.lock_keys(tx, keys)
            before = await store.read_keys(tx, keys)
            answers: dict[int, Answer] = {}
            fresh: dict[int, Claim] = {}
            for number, claim in enumerate(claims):
                answer = _repeated(claim, before)
                if answer is not None:
                    answers[number] = answer
                elif claim.key in free or claim.key in before:
                    fresh[number] = claim
                    free.discard(claim.key)
                else:
                    answers[number] = KeyInUse(_IN_USE)
            decisions = await course.move(tx, [_message(claim) for claim in fresh.values()], rules)
            made = [shown(decision.after) for decision in decisions if decision is not None]
            answers |= zip(fresh, made, strict=True)
            told = zip(fresh.values(), made, strict=True)
            await store.insert_keys(tx, {claim.key: _remembered(claim, answer) for claim, answer in told})
        return [answers[number] for number in range(len(claims))]

    return act


async def repeat(database: Database, claim: Claim) -> PaymentAnswer:
    """The answer to a claim whose key is in use in this process. Raises KeyInUse where it has none yet, KeyReused."""
    answer = _repeated(claim, await store.read_keys(database, [claim.key]))
    if answer is None:
        raise KeyInUse(_IN_USE)
    if isinstance(answer, KeyReused):
        raise answer
    return answer


def _repeated(claim: Claim, before: Mapping[str, Key]) -> PaymentAnswer | KeyReused | None:
    """What a key answers that has been answered; None also for one of whose answer nothing was kept."""
    known = before.get(claim.key)
    if known is None:
        return None
    if known.order_id != claim.order_id or known.body_hash not in (None, claim.body_hash):
        return KeyReused("This idempotency key came with another body before; use a new key.")
    return kept(known.answer) if known.answer is not None else None


def _remembered(claim: Claim, answer: PaymentAnswer) -> Key:
    return Key(claim.order_id, claim.body_hash, keep(answer))


def _message(claim: Claim) -> Message:
    news = News(Fact.CLAIMED, terms=claim.terms, idempotency_key=claim.key)
    return Message(claim.order_id, news, claim.because, opens=True)
