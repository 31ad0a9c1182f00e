"""What inventory decides: who gets stock, and how the hold of an order lives and ends. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from dovecote.events import Aggregate, Event
from ecom.contracts import OrderId, Quantity, Sku
from ecom.contracts.inventory import OUT_OF_STOCK
from ecom.contracts.payment import CAPTURE_DECLINED
from ecom.inventory.holds import HOLDS, LEADS_TO, SAID, Fact, HoldState, Outcome, Phase


class OrderLine(msgspec.Struct, frozen=True, rename="camel"):
    """One line of an order, as far as stock is concerned."""

    sku: Sku
    quantity: Quantity


class OrderLines(Event, frozen=True):
    """What inventory reads of an order: foreign producers send just this."""

    EVENT: ClassVar[str] = "order.created.v1"

    order_id: OrderId
    items: Annotated[tuple[OrderLine, ...], Meta(min_length=1)]

    def demand(self) -> dict[str, int]:
        """How much of each SKU, lines of one SKU merged."""
        wanted: dict[str, int] = {}
        for line in self.items:
            wanted[line.sku] = wanted.get(line.sku, 0) + line.quantity
        return wanted


class OrderPaid(Event, frozen=True):
    """Payment stands behind the order: its hold no longer expires."""

    EVENT: ClassVar[str] = "payment.authorized.v1"

    order_id: OrderId


class OrderUnpaid(Event, frozen=True):
    """Payment has failed, at once or at its capture."""

    EVENT: ClassVar[str] = "payment.failed.v1"

    order_id: OrderId
    reason: str | None = None

    @property
    def fact(self) -> Fact:
        """Only a capture can still be declined after an authorization."""
        return Fact.CAPTURE_DECLINED if self.reason == CAPTURE_DECLINED else Fact.DECLINED


class OrderCancelled(Event, frozen=True):
    """The order ended without a sale."""

    EVENT: ClassVar[str] = "order.cancelled.v1"

    order_id: OrderId

    @property
    def fact(self) -> Fact:
        """What its hold is told."""
        return Fact.ENDED


class OrderTimedOut(Event, frozen=True):
    """The order was still unanswered at its deadline."""

    EVENT: ClassVar[str] = "order.timed-out.v1"

    order_id: OrderId

    @property
    def fact(self) -> Fact:
        """What its hold is told."""
        return Fact.ENDED


class Hold(msgspec.Struct, frozen=True):
    """The one row of an order; ``sequence`` counts the events that inventory has said about it."""

    order_id: str
    state: HoldState = HoldState.AWAITED
    paid: bool = False
    sequence: int = 0
    trace_id: str = ""

    @property
    def phase(self) -> Phase:
        """Where it stands, as the table knows it."""
        return Phase.PREPAID if self.paid and self.state is HoldState.AWAITED else Phase(self.state)

    def told(self, outcome: Outcome) -> Hold:
        """After an outcome; the very same object where it changes nothing."""
        to = LEADS_TO.get(outcome)
        if to is None:
            return self
        return Hold(
            self.order_id,
            HoldState.AWAITED if to is Phase.PREPAID else HoldState(to.value),
            self.paid or outcome in (Outcome.NOTE_PAYMENT, Outcome.CONFIRM),
            self.sequence + (outcome in SAID),
            self.trace_id,
        )

    @property
    def aggregate(self) -> Aggregate:
        """Whose event the last one was."""
        return Aggregate("order", self.order_id, self.sequence)


class Verdict(msgspec.Struct, frozen=True):
    """What becomes of one order: all its lines are held, or none and ``shortage`` says why."""

    hold: Hold
    lines: Mapping[str, int]
    shortage: str | None = None


def awaits_order(hold: Hold) -> bool:
    """Whether order.created finds something to decide; where it does not, no stock need be looked at."""
    return HOLDS[hold.phase, Fact.COVERED] in LEADS_TO


def allocate(
    orders: Iterable[OrderLines], holds: Mapping[str, Hold], available: Mapping[str, int]
) -> list[Verdict | None]:
    """Judge orders in the order of their arrival; None for one that is already judged or already over.

    A SKU missing from ``available`` is unknown, which is the same as having none of it.
    """
    left = dict(available)
    now = dict(holds)
    verdicts: list[Verdict | None] = []
    for order in orders:
        hold = now[order.order_id]
        verdict = _judge(hold, order.demand(), left) if awaits_order(hold) else None
        if verdict is not None:
            now[order.order_id] = verdict.hold
            for sku, quantity in verdict.lines.items():
                left[sku] -= quantity
        verdicts.append(verdict)
    return verdicts


def _judge(hold: Hold, demand: Mapping[str, int], left: Mapping[str, int]) -> Verdict:
    for sku, wanted in demand.items():
        if wanted > left.get(sku, 0):
            shortage = f"{OUT_OF_STOCK}: sku {sku}: {wanted} wanted, {left.get(sku, 0)} available"
            return Verdict(hold.told(HOLDS[hold.phase, Fact.SHORT]), {}, shortage)
    return Verdict(hold.told(HOLDS[hold.phase, Fact.COVERED]), demand)


@dataclass(frozen=True, slots=True)
class Turn:
    """What facts do to a set of holds: the rows that changed, and whose stock moves which way."""

    changed: Sequence[Hold]
    confirm: Sequence[str]  # RESERVED → CONFIRMED: leaves the reserved count, stays out of available
    release: Sequence[str]  # RESERVED → RELEASED: returns from reserved to available
    restock: Sequence[str]  # CONFIRMED → RELEASED: returns to available

    @property
    def moves_stock(self) -> bool:
        """Whether any reservation changes."""
        return bool(self.confirm or self.release or self.restock)


def turn(holds: Mapping[str, Hold], facts: Iterable[tuple[str, Fact]]) -> Turn:
    """Tell holds what happened to their orders, one after the other; of facts of one event's kind one counts."""
    now = dict(holds)
    by_way: dict[Outcome, list[str]] = {way: [] for way in LEADS_TO}
    for order_id, fact in facts:
        hold = now[order_id]
        outcome = HOLDS[hold.phase, fact]
        if outcome in LEADS_TO:
            now[order_id] = hold.told(outcome)
            by_way[outcome].append(order_id)
    return Turn(
        changed=[hold for order_id, hold in now.items() if hold is not holds[order_id]],
        confirm=by_way[Outcome.CONFIRM],
        release=by_way[Outcome.RELEASE] + by_way[Outcome.EXPIRE],
        restock=by_way[Outcome.RESTOCK],
    )


class Stock(msgspec.Struct, frozen=True):
    """What there is of a SKU: free to promise, and promised but unpaid."""

    sku: str
    available: int
    reserved: int

    def moved(self, *, available: int = 0, reserved: int = 0) -> Stock:
        """After a relative change."""
        return Stock(self.sku, self.available + available, self.reserved + reserved)


def take(stock: Mapping[str, Stock], verdicts: Iterable[Verdict]) -> list[Stock]:
    """The stock that changes, with what the verdicts hold taken out; paid orders skip the reserved count."""
    after: dict[str, Stock] = {}
    for verdict in verdicts:
        unpaid = verdict.hold.state is HoldState.HELD
        for sku, quantity in verdict.lines.items():
            before = after.get(sku) or stock[sku]
            after[sku] = before.moved(available=-quantity, reserved=quantity if unpaid else 0)
    return list(after.values())


class Status(StrEnum):
    """Where a reservation stands."""

    RESERVED = "RESERVED"
    CONFIRMED = "CONFIRMED"
    RELEASED = "RELEASED"
