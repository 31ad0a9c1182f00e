"""What the simulator decides: pure bookkeeping over ledger entries, rebuilt from them at every start.

It does not protect the caller: a second authorization of one reference under a new key holds money twice, as
it would at a real provider. That is what the audit is there to find.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from ecom.provider.interface import (
    ALREADY_CAPTURED,
    ALREADY_REFUNDED,
    ALREADY_VOIDED,
    AMOUNT_MISMATCH,
    NOT_FOUND,
    Held,
    Operation,
)
from ecom.provider.ledger import Entry, Mark
from ecom.provider.wire import ABSENT, APPROVED, CONFLICT, DECLINED, Order, Reply, Sight

_AFTER = {
    Operation.AUTHORIZE: Held.AUTHORIZED,
    Operation.CAPTURE: Held.CAPTURED,
    Operation.VOID: Held.VOIDED,
    Operation.REFUND: Held.REFUNDED,
}
_SETTLED = {Held.CAPTURED: ALREADY_CAPTURED, Held.VOIDED: ALREADY_VOIDED, Held.REFUNDED: ALREADY_REFUNDED}


@dataclass(slots=True)
class Charge:
    """One authorization and what became of it."""

    provider_id: str
    amount_minor: int
    currency: str
    held: Held
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A reply, and the entry that must be on disk before it leaves (None where nothing new was decided)."""

    reply: Reply
    entry: Entry | None = None


@dataclass(slots=True)
class Book:
    seed: int
    _first: dict[str, Entry] = field(default_factory=dict)
    _charges: dict[str, list[Charge]] = field(default_factory=dict)

    def knows(self, key: str) -> bool:
        return key in self._first

    def decide(self, operation: Operation, order: Order, at: datetime, refusal: str | None = None) -> Verdict:
        """Answer one operation and remember it. `refusal` is why the card says no, where the plan wants it
        to.
        """
        request_hash = hash_of(operation, order)
        first = self._first.get(order.key)
        if first is not None and first.request_hash == request_hash:
            return Verdict(_reply(first))
        mark, reason, provider_id = self._judge(operation, order, refusal)
        if first is not None:
            mark, reason, provider_id = Mark.CONFLICT, "KEY_REUSED", first.provider_id
        elif reason == NOT_FOUND:
            # not remembered: the authorization may still be on its way, the same key may be asked again
            return Verdict(Reply(key=order.key, status=ABSENT, reason=NOT_FOUND))
        entry = Entry(
            at=at,
            operation=operation,
            key=order.key,
            reference=order.reference,
            provider_id=provider_id,
            amount_minor=order.amount_minor,
            currency=order.currency,
            outcome=mark,
            request_hash=request_hash,
            reason=reason,
        )
        self.apply(entry)
        return Verdict(_reply(entry), entry)

    def apply(self, entry: Entry) -> None:
        """Take an entry into the books: the one way in, for a new decision and for a start from the ledger
        alike.
        """
        if entry.outcome is Mark.CONFLICT:
            return
        self._first[entry.key] = entry
        if entry.operation is Operation.AUTHORIZE:
            held = Held.AUTHORIZED if entry.outcome is Mark.APPROVED else Held.DECLINED
            self._charges.setdefault(entry.reference, []).append(
                Charge(entry.provider_id, entry.amount_minor, entry.currency, held, entry.reason)
            )
        elif entry.outcome is Mark.APPROVED and (charge := self._latest(entry.reference)):
            charge.held = _AFTER[entry.operation]

    def look_up(self, reference: str) -> Sight:
        charges = self._charges.get(reference)
        if not charges:
            return Sight(reference=reference, held=Held.NOTHING)
        charge = self._latest(reference) or charges[-1]
        return Sight(
            reference=reference,
            held=charge.held,
            provider_id=charge.provider_id,
            reason=charge.reason,
            amount_minor=charge.amount_minor,
            currency=charge.currency,
        )

    def _judge(self, operation: Operation, order: Order, refusal: str | None) -> tuple[Mark, str | None, str]:
        if operation is Operation.AUTHORIZE:
            mark = Mark.APPROVED if refusal is None else Mark.DECLINED
            return mark, refusal, self._provider_id(order.key)
        charge = self._latest(order.reference)
        if charge is None:
            return Mark.DECLINED, NOT_FOUND, ""
        if (charge.amount_minor, charge.currency) != (order.amount_minor, order.currency):
            return Mark.DECLINED, AMOUNT_MISMATCH, charge.provider_id
        if charge.held is _AFTER[operation]:
            return Mark.REPEATED, None, charge.provider_id
        reason = refusal or _obstacle(operation, charge.held)
        return (Mark.APPROVED if reason is None else Mark.DECLINED), reason, charge.provider_id

    def _latest(self, reference: str) -> Charge | None:
        """The newest authorization that was not declined."""
        for charge in reversed(self._charges.get(reference, [])):
            if charge.held is not Held.DECLINED:
                return charge
        return None

    def _provider_id(self, key: str) -> str:
        """The same seed and key give the same id, in every run."""
        digest = hashlib.blake2b(f"{self.seed}:{key}".encode(), digest_size=12).hexdigest()
        return f"sim_{digest}"


def hash_of(operation: Operation, order: Order) -> str:
    """What makes two requests the same request; the key is not part of it."""
    body = (operation.value, order.reference, order.amount_minor, order.currency, order.payment_method)
    return hashlib.blake2b(repr(body).encode(), digest_size=16).hexdigest()


def _obstacle(operation: Operation, held: Held) -> str | None:
    """Why an operation is impossible: void only what is not captured, refund only what is."""
    match operation:
        case Operation.CAPTURE | Operation.VOID:
            reasons = {
                Held.CAPTURED: ALREADY_CAPTURED,
                Held.VOIDED: ALREADY_VOIDED,
                Held.REFUNDED: ALREADY_REFUNDED,
            }
            return reasons.get(held)
        case Operation.REFUND:
            return None if held is Held.CAPTURED else "NOT_CAPTURED"
        case Operation.AUTHORIZE:
            return None
        case _:
            assert_never(operation)


def _reply(entry: Entry) -> Reply:
    match entry.outcome:
        case Mark.APPROVED | Mark.REPEATED:
            status = APPROVED
        case Mark.DECLINED:
            status = DECLINED
        case Mark.CONFLICT:
            status = CONFLICT
        case _:
            assert_never(entry.outcome)
    return Reply(key=entry.key, status=status, provider_id=entry.provider_id, reason=entry.reason)
