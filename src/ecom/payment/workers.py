"""How payment talks to its provider: one worker an operation; what has no answer is asked again with the same
key.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from dovecote import retry
from dovecote.database import Transaction
from dovecote.intents import Intent, Worker
from ecom.payment import calls_store, course, telemetry
from ecom.payment.answers import OPEN, fact_of, known_from
from ecom.payment.calls_store import Unanswered
from ecom.payment.course import Charge, Message
from ecom.payment.domain import News, Rules
from ecom.payment.stages import Fact
from ecom.payment.switch import Switch
from ecom.provider.interface import NOT_FOUND, Answer, Operation, Outcome, PaymentProvider, Request

FIRST_DELAY = timedelta(milliseconds=500)
LONGEST_DELAY = timedelta(seconds=30)
# Short, for an order waits behind it; longer than a look up and a call that both time out.
LEASE = timedelta(seconds=10)
# No call that was made before an authorization was answered is recorded so long after it.
SURE_AFTER = timedelta(minutes=1)

Ask = Callable[[Sequence[Request]], AsyncIterator[tuple[Request, Answer]]]

_charge = msgspec.json.Decoder(Charge).decode


@dataclass(frozen=True, slots=True)
class Line:
    """The line to the provider, with what may cut it: an operator's switch, and failures made on purpose."""

    provider: PaymentProvider
    switch: Switch
    failure_rate: float = 0.0

    def ask(self, operation: Operation) -> Ask:
        """The provider's call for an operation."""
        calls: Mapping[Operation, Ask] = {
            Operation.AUTHORIZE: self.provider.authorize,
            Operation.CAPTURE: self.provider.capture,
            Operation.VOID: self.provider.void,
            Operation.REFUND: self.provider.refund,
        }
        return calls[operation]

    def fails_on_purpose(self, intent: Intent) -> bool:
        """The same intent and attempt fail in every run with the same rate."""
        digest = hashlib.blake2b(f"{intent.key}:{intent.attempts}".encode(), digest_size=4).digest()
        return int.from_bytes(digest, "big") / 2**32 < self.failure_rate


def workers(line: Line, rules: Rules, *, lease: timedelta = LEASE) -> Sequence[Worker[Answer]]:
    """One worker for each operation; what a crash leaves behind is taken up again when its lease ends."""
    return [
        Worker(kind=operation.value, call=_call(operation, line), record=_record(operation, rules), lease=lease)
        for operation in Operation
    ]


def _call(operation: Operation, line: Line) -> Callable[[Sequence[Intent]], AsyncIterator[tuple[Intent, Answer]]]:
    async def call(intents: Sequence[Intent]) -> AsyncIterator[tuple[Intent, Answer]]:
        """Ask; for what was asked before, first look whether it was done, for a provider may forget old keys."""
        if await line.switch.outage():
            for intent in intents:
                yield intent, Answer(Outcome.UNKNOWN, reason="OUTAGE_MODE")
            return
        open_ = {intent.key: intent for intent in intents}
        for intent in [each for each in intents if line.fails_on_purpose(each)]:
            yield open_.pop(intent.key), Answer(Outcome.UNKNOWN, reason="FAILED_ON_PURPOSE")
        asked_before = {intent.subject: intent for intent in open_.values() if intent.attempts > 1}
        async for order_id, found in line.provider.look_up(list(asked_before)):
            intent = asked_before[order_id]
            charge = _charge(intent.body)
            answer = known_from(operation, found, amount_minor=charge.amount_minor, currency=charge.currency)
            if answer is not None:
                yield open_.pop(intent.key), answer
        async for request, answer in line.ask(operation)([_request(intent) for intent in open_.values()]):
            yield open_[request.key], answer

    return call


def _record(
    operation: Operation, rules: Rules
) -> Callable[[Transaction, Sequence[tuple[Intent, Answer]]], Awaitable[None]]:
    async def record(tx: Transaction, answers: Sequence[tuple[Intent, Answer]]) -> None:
        """Keep the provider's words; what settles nothing is kept too, and the question put again later."""
        unsure = await _unsure(tx, operation, answers, rules)
        facts = [
            (intent, answer, Fact.UNANSWERED if intent.key in unsure else fact_of(operation, answer))
            for intent, answer in answers
        ]
        told = [
            Message(intent.subject, News(fact, reason=answer.reason, provider_payment_id=answer.provider_id), intent)
            for intent, answer, fact in facts
        ]
        await course.move(tx, told, rules)
        silent = [Unanswered(intent, answer.reason) for intent, answer, fact in facts if fact in OPEN]
        for each in silent:
            delay = retry.jitter(retry.backoff(each.intent.attempts, first=FIRST_DELAY, most=LONGEST_DELAY))
            tx.postpone(each.intent, until=tx.now + delay)
        settled = [intent for intent, _, fact in facts if fact not in OPEN]
        for intent in settled:
            tx.settle(intent)
        await _tell_operators(tx, operation, silent, settled, rules)

    return record


async def _unsure(
    tx: Transaction, operation: Operation, answers: Sequence[tuple[Intent, Answer]], rules: Rules
) -> set[str]:
    """The keys of voids that found nothing, though the authorization may be on its way: they are asked again.

    A webhook may be ahead of the provider's own books, and of our own call, which is then still to be made.
    """
    if operation is not Operation.VOID:
        return set()
    missing = [intent for intent, answer in answers if answer.reason == NOT_FOUND]
    if not missing:
        return set()
    keys = [course.provider_key(Operation.AUTHORIZE, intent.subject) for intent in missing]
    asked = await calls_store.asked_lately(tx, Operation.AUTHORIZE.value, keys, since=tx.now - SURE_AFTER)
    return {each.key for each in missing if each.attempts < rules.attempts_max or each.subject in asked}


async def _tell_operators(
    tx: Transaction, operation: Operation, silent: Sequence[Unanswered], settled: Sequence[Intent], rules: Rules
) -> None:
    """What has been silent for long becomes a provider dead letter; what has been answered is one no longer."""
    if silent:
        telemetry.unanswered(operation.value, len(silent), {each.reason or "" for each in silent})
    overdue = [each for each in silent if each.intent.attempts >= rules.attempts_max]
    if overdue:
        fresh = await calls_store.note_unanswered(tx, overdue, attempts_max=rules.attempts_max)
        if fresh:
            telemetry.dead_letters(operation.value, fresh)
    answered = [intent.key for intent in settled if intent.attempts >= rules.attempts_max]
    if answered:
        await calls_store.resolve_answered(tx, answered)


def _request(intent: Intent) -> Request:
    charge = _charge(intent.body)
    return Request(intent.key, charge.order_id, charge.amount_minor, charge.currency, charge.payment_method)
