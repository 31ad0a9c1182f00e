"""How payments move: each call takes many pieces of news in one transaction (insert or lock, decide, write,
say).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from dovecote.database import Transaction
from dovecote.errors import DovecoteError
from dovecote.events import Aggregate, Traced
from ecom.payment import store, telemetry
from ecom.payment.domain import Decision, News, Payment, Rules, decide
from ecom.payment.stages import LOUD
from ecom.provider.interface import Operation

AGGREGATE = "payment"


class PaymentForgotten(DovecoteError):
    """A tombstone was deleted while it was being locked; the same batch once more finds it gone and goes on."""

    retriable = True


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """The body of an intent: what the provider is asked, word for word the same at every try."""

    order_id: str
    amount_minor: int
    currency: str
    payment_method: str | None = None


class Message(msgspec.Struct, frozen=True):
    """News for one order's payment; `opens` makes the payment where there is none yet."""

    order_id: str
    news: News
    because: Traced
    opens: bool = False


async def move(tx: Transaction, messages: Sequence[Message], rules: Rules) -> list[Decision | None]:
    """Tell payments their news in the order given; None for a payment that does not exist."""
    opened = _open(tx, messages, rules)
    inserted = await store.insert_new(tx, [decision.after for decision in opened.values()])
    standing = await store.lock(tx, {each.order_id for each in messages} - inserted)
    written = dict(standing)
    decisions: list[Decision | None] = []
    for message in messages:
        payment = standing.get(message.order_id)
        if payment is not None:
            decision = decide(payment, message.news, tx.now, rules)
        elif message.order_id in inserted:
            decision = opened[message.order_id]
            written[message.order_id] = decision.after
        elif message.opens:
            raise PaymentForgotten(
                f"The memory of {message.order_id} was just cleaned up; the same again makes it anew."
            )
        else:
            decisions.append(None)
            continue
        standing[message.order_id] = decision.after
        decisions.append(decision)
        _tell(tx, decision, message.because)
    changes = [(written[order_id], payment) for order_id, payment in standing.items()]
    await store.update(tx, [(before, after) for before, after in changes if before != after])
    return decisions


def _open(tx: Transaction, messages: Sequence[Message], rules: Rules) -> dict[str, Decision]:
    """What the first message of each order makes of a payment that does not exist yet, if it may make one."""
    first: dict[str, Message] = {}
    for message in messages:
        first.setdefault(message.order_id, message)
    return {
        order_id: decide(
            Payment(
                order_id=order_id,
                payment_id=f"pay_{tx.new_id()}",
                created_at=tx.now,
                updated_at=tx.now,
                trace_id=message.because.trace_id,
            ),
            message.news,
            tx.now,
            rules,
        )
        for order_id, message in first.items()
        if message.opens
    }


def _tell(tx: Transaction, decision: Decision, because: Traced) -> None:
    """Publish what a decision says, write down what it asks, and tell people what they must know of."""
    payment = decision.after
    if decision.outcome in LOUD:
        telemetry.remarkable(decision.outcome, payment.order_id, payment.stage)
    for event in decision.events:
        tx.publish(event, of=Aggregate(AGGREGATE, payment.order_id, payment.sequence), because=because)
    if decision.ask is not None:
        key = provider_key(decision.ask, payment.order_id)
        tx.intend(decision.ask.value, key=key, subject=payment.order_id, body=_charge(payment), because=because)


def provider_key(operation: Operation, order_id: str) -> str:
    """A function of order and operation alone: whoever asks, and how often, asks for the same thing."""
    return f"{operation.value}:{order_id}"


def _charge(payment: Payment) -> Charge:
    if payment.amount_minor is None or payment.currency is None:
        raise ValueError(f"the payment of {payment.order_id} cannot be asked for without an amount")
    return Charge(
        order_id=payment.order_id,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        payment_method=payment.payment_method,
    )
