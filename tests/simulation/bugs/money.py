"""Bugs against the order's decisions and its money (rows G1 to G12, G20 to G24)."""

from __future__ import annotations

from typing import Any

from ecom.order import domain as order
from ecom.payment import answers, webhook, workers
from ecom.payment.stages import COURSE, Fact, Outcome, Stage
from ecom.provider import interface
from tests.simulation.bugs.switch import Bug, entries, wrapped


def _declining(fact_of: Any) -> Any:
    def fact(operation: interface.Operation, answer: interface.Answer) -> Fact:
        """A silence is a no."""
        if answer.outcome is interface.Outcome.UNKNOWN and operation is interface.Operation.AUTHORIZE:
            return Fact.DECLINED
        return fact_of(operation, answer)  # type: ignore[no-any-return]

    return fact


def _with_attempts(request: Any) -> Any:
    def keyed(intent: Any) -> Any:
        """Each try has a key of its own."""
        made = request(intent)
        return interface.Request(
            f"{made.key}:{intent.attempts}", made.reference, made.amount_minor, made.currency, made.payment_method
        )

    return keyed


def _never_asked_before(call: Any) -> Any:
    def asking(operation: Any, line: Any) -> Any:
        class Blind:
            """A provider that is never looked up."""

            def __getattr__(self, name: str) -> Any:
                return getattr(line.provider, name)

            async def look_up(self, references: Any) -> Any:
                for _ in ():
                    yield _

        from dataclasses import replace

        return call(operation, replace(line, provider=Blind()))

    return asking


def _forgiving(receive: Any) -> Any:
    async def receive_all(database: Any, body: Any, because: Any, rules: Any) -> Any:
        """A webhook decides at once, whatever was decided before: no memory, no table."""
        from dovecote.sql import Sql

        async with database.transaction() as tx:
            row = await tx.fetchrow(
                Sql("SELECT order_id, stage, sequence FROM payment WHERE provider_payment_id = $1 FOR UPDATE"),
                body.provider_payment_id,
            )
            if row is not None and body.event_type == "payment.authorized" and row["stage"] != "AUTHORIZED":
                await tx.execute(
                    Sql("UPDATE payment SET stage = 'AUTHORIZED', status = 'AUTHORIZED' WHERE order_id = $1"),
                    row["order_id"],
                )
        return await receive(database, body, because, rules)

    return receive_all


H, O_ = order.Happening, order.Outcome
P = order.Phase

MONEY_BUGS = (
    Bug("G3", "an authorization that comes after the end is kept", (
        entries(COURSE, {(Stage.AUTHORIZING_ENDED, Fact.AUTHORIZED): Outcome.HOLD}),
    )),
    Bug("G4", "what is authorized is not let go when the order ends", (
        entries(COURSE, {(Stage.AUTHORIZED, Fact.ENDED): Outcome.KNOWN}),
    )),
    Bug("G7", "each try has a key of its own, and nobody looks whether one was done", (
        wrapped(workers, "_request", _with_attempts),
        wrapped(workers, "_call", _never_asked_before),
    )),
    Bug("G8", "a provider's silence is a refusal", (
        wrapped(answers, "fact_of", _declining),
        wrapped(workers, "fact_of", _declining),
    )),
    Bug("G11", "a capture that comes after the end is kept", (
        entries(COURSE, {(Stage.CAPTURING_ENDED, Fact.CAPTURED): Outcome.KEEP}),
    )),
    Bug("G12", "a webhook decides without looking at what was decided", (wrapped(webhook, "receive", _forgiving),)),
    Bug("G20", "an order that is over is confirmed when both have answered", (
        entries(order.SAGA, {
            (P.CANCELLED, H.AUTHORIZED): O_.CONFIRM,
            (P.CANCELLED, H.RESERVED): O_.CONFIRM,
        }),
    )),
    Bug("G21", "a deadline ends an order that is confirmed", (
        entries(order.SAGA, {(P.CONFIRMED, H.DEADLINE_PASSED): O_.TIME_OUT}),
    )),
    Bug("G24", "a capture that is declined leaves the order CONFIRMED", (
        entries(order.SAGA, {(P.CONFIRMED, H.CAPTURE_DECLINED): O_.KNOWN}),
    )),
)  # fmt: skip
