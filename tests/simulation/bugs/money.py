"""Bugs against the order's decisions and its money (rows G1 to G12, G20 to G24)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from dovecote.sql import Sql
from ecom.order import domain as order
from ecom.order import store
from ecom.payment import answers, workers
from ecom.payment.stages import COURSE, Fact, Outcome, Stage
from ecom.provider.interface import Answer, Found, Held, Operation, Request
from ecom.provider.interface import Outcome as Answered
from tests.simulation import faults
from tests.simulation.bugs.switch import Bug, entries, wrapped


def _declining(fact_of: Any) -> Any:
    def fact(operation: Operation, answer: Answer) -> Fact:
        """A silence is a no."""
        if answer.outcome is Answered.UNKNOWN and operation is Operation.AUTHORIZE:
            return Fact.DECLINED
        return fact_of(operation, answer)  # type: ignore[no-any-return]

    return fact


class _WithoutMemory:
    """The line to a provider as a careless service has it: each try has a key of its own, and nothing is looked up."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self._tries = count()

    def __getattr__(self, operation: str) -> Any:
        async def ask(requests: Sequence[Request]) -> AsyncIterator[tuple[Request, Answer]]:
            by_key = {f"{request.key}:{next(self._tries)}": request for request in requests}
            renamed = [replace(request, key=key) for key, request in by_key.items()]
            async for request, answer in getattr(self._provider, operation)(renamed):
                yield by_key[request.key], answer

        return ask

    async def look_up(self, references: Sequence[str]) -> AsyncIterator[tuple[str, Found]]:
        for reference in references[:0]:
            yield reference, Found(Held.NOTHING)


def _careless(call: Any) -> Any:
    def with_careless_line(operation: Operation, line: Any, *more: Any) -> Any:
        return call(operation, replace(line, provider=_WithoutMemory(line.provider)), *more)

    return with_careless_line


WEBHOOK_STAGE = Sql("SELECT order_id, stage FROM payment WHERE provider_payment_id = $1 FOR UPDATE")
SET_STAGE = Sql("UPDATE payment SET stage = 'AUTHORIZED', status = 'AUTHORIZED' WHERE order_id = $1")


def _believing(receive: Any) -> Any:
    async def believe(database: Any, body: Any, because: Any, rules: Any) -> Any:
        """What a webhook says is so, whatever was decided before it came."""
        async with database.transaction() as tx:
            row = await tx.fetchrow(WEBHOOK_STAGE, body.provider_payment_id)
            if row is not None and body.event_type == "payment.authorized" and row["stage"] != "AUTHORIZED":
                await tx.execute(SET_STAGE, row["order_id"])
        return await receive(database, body, because, rules)

    return believe


H, P, Then = order.Happening, order.Phase, order.Outcome

MONEY_BUGS = (
    Bug("G3", "an authorization that comes after the end is kept", (
        entries(COURSE, {(Stage.AUTHORIZING_ENDED, Fact.AUTHORIZED): Outcome.HOLD}),
    )),
    Bug("G4", "what is authorized is not let go when the order ends", (
        entries(COURSE, {(Stage.AUTHORIZED, Fact.ENDED): Outcome.KNOWN}),
    )),
    Bug("G7", "each try has a key of its own, and nobody looks whether one was done", (
        wrapped(workers, "_call", _careless),
    )),
    Bug("G8", "a provider's silence is a refusal", (
        wrapped(answers, "fact_of", _declining),
        wrapped(workers, "fact_of", _declining),
    )),
    Bug("G11", "what is captured is kept, although the order is over", (
        entries(COURSE, {
            (Stage.CAPTURING_ENDED, Fact.CAPTURED): Outcome.KEEP,
            (Stage.CAPTURED, Fact.ENDED): Outcome.KNOWN,
        }),
    )),
    Bug("G12", "a webhook decides without looking at what was decided", (wrapped(faults, "receive", _believing),)),
    Bug("G20", "an order that is over is confirmed when both have answered", (
        entries(order.SAGA, {
            (P.CANCELLED, H.AUTHORIZED): Then.CONFIRM,
            (P.CANCELLED, H.RESERVED): Then.CONFIRM,
        }),
    )),
    Bug("G21", "a deadline ends an order that is confirmed", (
        entries(order.SAGA, {(P.CONFIRMED, H.DEADLINE_PASSED): Then.TIME_OUT}),
        wrapped(store, "FIND_OVERDUE", lambda sql: Sql(sql.text.replace("status = 'PAYMENT_PENDING' AND", ""))),
    )),
    Bug("G24", "a capture that is declined leaves the order CONFIRMED", (
        entries(order.SAGA, {(P.CONFIRMED, H.CAPTURE_DECLINED): Then.KNOWN}),
    )),
)  # fmt: skip
