"""Verbs for tests of the payment service: hear, work, look, and what the provider's own book says."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
import msgspec

from dovecote.database import Database
from dovecote.events import Delivery, Event
from dovecote.intents import WorkerLoop
from dovecote.schedule import JobContext
from dovecote.sql import Sql
from ecom.payment import jobs
from ecom.payment.domain import Rules
from ecom.payment.handlers import hears
from ecom.payment.hearing import OrderCancelled, OrderConfirmed, OrderPlaced, OrderTimedOut, StockRefused
from ecom.payment.switch import Switch
from ecom.payment.workers import Line, workers
from ecom.provider.interface import Operation
from ecom.provider.ledger import Mark, read
from ecom.provider.simulated import SimulatedProvider
from tests.provider.processes import ProviderProcess

SAID = Sql("""
    SELECT event_type, key, aggregate_id, sequence, trace_id, convert_from(value, 'UTF8') AS value
      FROM outbox_event_record ORDER BY id
""")
PAYMENTS = Sql("SELECT * FROM payment WHERE order_id = ANY($1::text[]) ORDER BY order_id")
OPEN_INTENTS = Sql("SELECT kind, key FROM intent WHERE status = 'PENDING' ORDER BY kind, key")
MAKE_DUE = Sql("UPDATE intent SET due_at = created_at, leased_until = NULL WHERE status = 'PENDING'")
MAKE_OLD = Sql(
    "UPDATE payment SET unknown_since = unknown_since - $1::interval, created_at = created_at - $1::interval"
)

_order_ids = itertools.count(1)
_run = uuid4().hex[:8]


def new_order_id() -> str:
    """The provider's book is shared by all tests: each order is new to it."""
    return f"ord_{_run}_{next(_order_ids):04}"


def delivery(event: Event, *, trace_id: str = "0" * 32) -> Delivery[Any]:
    """An event as a handler gets it."""
    return Delivery(
        event=event,
        event_id=uuid4(),
        event_type=event.EVENT,
        occurred_at=datetime.now(UTC),
        producer="test",
        trace_id=trace_id,
        topic=event.EVENT,
        partition=0,
        offset=0,
        key="",
        sequence=None,
    )


def placed(order_id: str, method: str | None = "card", *, total: str = "12.50", currency: str = "USD") -> OrderPlaced:
    """An order with a total."""
    return OrderPlaced(
        order_id=order_id, user_id=7, currency=currency, total_amount=Decimal(total), payment_method=method
    )


def ends(order_id: str) -> list[Event]:
    """The ways in which an order can end."""
    return [
        OrderCancelled(order_id=order_id, reason="CUSTOMER_CANCELLED"),
        OrderTimedOut(order_id=order_id),
        StockRefused(order_id=order_id, reason="OUT_OF_STOCK"),
    ]


def confirmed(order_id: str) -> OrderConfirmed:
    """The order stands."""
    return OrderConfirmed(order_id=order_id)


@dataclass
class PaymentDesk:
    """The payment service without its loops: told events, made to work, looked at."""

    database: Database
    process: ProviderProcess
    rules: Rules = field(default_factory=Rules)
    failure_rate: float = 0.0
    switch: Switch = field(default_factory=lambda: Switch(outage=False))
    parked: list[str] = field(default_factory=list)

    @property
    def provider(self) -> SimulatedProvider:
        return SimulatedProvider(self.process.url, timeout=timedelta(milliseconds=400))

    async def hear(self, *events: Event, trace_id: str = "0" * 32) -> None:
        """Deliver events of one type in one batch."""
        (kind,) = {event.EVENT for event in events}
        handle = hears(self.rules).routes[kind].handle
        async with self.database.transaction("consumer") as tx:
            await handle(tx, [delivery(event, trace_id=trace_id) for event in events])
            self.parked += tx.parked.values()

    async def work(self, operation: Operation) -> int:
        """Ask the provider once for everything that is due, and keep its answers; says how many there were."""
        line = Line(self.provider, self.switch, self.failure_rate)
        worker = next(each for each in workers(line, self.rules) if each.kind == operation.value)
        loop = WorkerLoop(self.database, worker)
        await self.database.fetch(MAKE_DUE)
        leased = await loop._lease()
        answers = [pair async for pair in worker.call(leased)]
        if answers:
            await loop._record(answers)
        return len(answers)

    async def settle(self, rounds: int = 12) -> None:
        """Work until nothing is asked any more."""
        for _ in range(rounds):
            for operation in Operation:
                await self.work(operation)
            if not await self.open_intents():
                return
        raise AssertionError(f"still asked: {await self.open_intents()}")

    async def reconcile(self) -> None:
        """The look-up job, a minute later."""
        await self.database.fetch(MAKE_OLD, timedelta(minutes=1))

        async def lag() -> int:
            return 0

        await jobs.reconcile(JobContext(self.database, lag), self.provider, self.rules)

    async def payment(self, order_id: str) -> Mapping[str, Any]:
        """The row of one order."""
        rows = await self.database.fetch(PAYMENTS, [order_id])
        assert len(rows) == 1, f"{len(rows)} payments for {order_id}"
        return rows[0]

    async def stage(self, order_id: str) -> str:
        return str((await self.payment(order_id))["stage"])

    async def open_intents(self) -> list[tuple[str, str]]:
        """What the provider is still to be asked."""
        return [(row["kind"], row["key"]) for row in await self.database.fetch(OPEN_INTENTS)]

    async def said(self, order_id: str) -> list[tuple[str, dict[str, Any]]]:
        """The events about an order, in sequence; the sequence has no gap."""
        rows = [row for row in await self.database.fetch(SAID) if row["key"] == order_id]
        assert [row["sequence"] for row in rows] == list(range(1, len(rows) + 1))
        assert {row["aggregate_id"] for row in rows} <= {order_id}
        return [(row["event_type"], msgspec.json.decode(row["value"])["payload"]) for row in rows]

    async def events(self, order_id: str) -> list[str]:
        """Their short names: authorized, failed, captured, refunded."""
        return [name.split(".")[1] for name, _ in await self.said(order_id)]

    def book(self, order_id: str) -> list[str]:
        """What the provider's ledger says it did for an order."""
        return [
            entry.operation.value
            if entry.outcome is Mark.APPROVED
            else f"{entry.operation.value} {entry.outcome.value}"
            for entry in read(self.process.home)
            if entry.reference == order_id
        ]

    def held_minor(self, order_id: str) -> int:
        """What the provider holds or has taken for an order, net."""
        return held_minor(self.process, order_id)


def held_minor(process: ProviderProcess, order_id: str) -> int:
    """What a provider holds or has taken for an order, by its own book."""
    signs = {Operation.AUTHORIZE: 1, Operation.CAPTURE: 0, Operation.VOID: -1, Operation.REFUND: -1}
    return sum(
        signs[entry.operation] * entry.amount_minor
        for entry in read(process.home)
        if entry.reference == order_id and entry.outcome is Mark.APPROVED
    )


def intent(order_id: str, **changes: object) -> dict[str, object]:
    """The body of a client that asks for a payment."""
    return {
        "orderId": order_id,
        "userId": 7,
        "amount": 12.5,
        "currency": "USD",
        "idempotencyKey": f"key-{order_id}",
        **changes,
    }


async def pending(client: httpx.AsyncClient, desk: PaymentDesk) -> tuple[str, dict[str, Any]]:
    """An order whose payment is PENDING, and that payment."""
    order_id = new_order_id()
    await desk.hear(placed(order_id))
    return order_id, (await client.post("/api/payments/intents", json=intent(order_id))).json()
