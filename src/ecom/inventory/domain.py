"""What inventory decides: who gets stock, and how the hold of an order lives and ends. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from dovecote.events import Aggregate, Event
from ecom.contracts import OrderId, Quantity, Sku
from ecom.contracts.inventory import OUT_OF_STOCK


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


class OrderCancelled(Event, frozen=True):
    """The order ended without a sale."""

    EVENT: ClassVar[str] = "order.cancelled.v1"

    order_id: OrderId


class OrderTimedOut(Event, frozen=True):
    """The order was still unanswered at its deadline."""

    EVENT: ClassVar[str] = "order.timed-out.v1"

    order_id: OrderId


class HoldState(StrEnum):
    """Where an order's hold stands. Events of different topics come in any order, hence AWAITED and ENDED."""

    AWAITED = "AWAITED"  # order.created has not come; payment may have
    HELD = "HELD"  # every line RESERVED, until it expires
    CONFIRMED = "CONFIRMED"  # every line CONFIRMED: paid, never expires
    REFUSED = "REFUSED"  # a line was short, nothing was held
    RELEASED = "RELEASED"  # held or confirmed once, all of it given back
    EXPIRED = "EXPIRED"  # held once, given back because nobody paid in time
    ENDED = "ENDED"  # a tombstone: the order ended before order.created came


class Hold(msgspec.Struct, frozen=True):
    """The one row of an order; ``sequence`` counts the events that inventory has said about it."""

    order_id: str
    state: HoldState = HoldState.AWAITED
    paid: bool = False
    sequence: int = 0
    trace_id: str = ""

    def spoke(self, state: HoldState) -> Hold:
        """In a new state, and one event further."""
        return replace(self, state=state, sequence=self.sequence + 1)

    @property
    def aggregate(self) -> Aggregate:
        """Whose event the last one was."""
        return Aggregate("order", self.order_id, self.sequence)


class Verdict(msgspec.Struct, frozen=True):
    """What becomes of one order: all its lines are held, or none and ``shortage`` says why."""

    hold: Hold
    lines: Mapping[str, int]
    shortage: str | None = None


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
        verdict = _judge(hold, order.demand(), left) if hold.state is HoldState.AWAITED else None
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
            return Verdict(hold.spoke(HoldState.REFUSED), {}, shortage)
    return Verdict(hold.spoke(HoldState.CONFIRMED if hold.paid else HoldState.HELD), demand)


def paid(hold: Hold) -> Hold:
    """Payment is authorized: a hold becomes final; one still awaited remembers it."""
    match hold.state:
        case HoldState.AWAITED:
            return replace(hold, paid=True)
        case HoldState.HELD:
            return replace(hold, paid=True, state=HoldState.CONFIRMED)
        case _:
            return hold


def ended(hold: Hold) -> Hold:
    """The order is over (or will never be paid): what it holds returns; one still awaited becomes a tombstone."""
    match hold.state:
        case HoldState.AWAITED:
            return replace(hold, state=HoldState.ENDED)
        case HoldState.HELD | HoldState.CONFIRMED:
            return replace(hold, state=HoldState.RELEASED)
        case _:
            return hold


def expired(hold: Hold) -> Hold:
    """The hold ran past its time to live; only one that nobody has paid for can."""
    return hold.spoke(HoldState.EXPIRED) if hold.state is HoldState.HELD else hold


@dataclass(frozen=True, slots=True)
class Turn:
    """What one step does to a set of holds: the rows that changed, and whose stock moves which way."""

    changed: Sequence[Hold]
    confirm: Sequence[str]  # RESERVED → CONFIRMED: leaves the reserved count, stays out of available
    release: Sequence[str]  # RESERVED → RELEASED: returns from reserved to available
    restock: Sequence[str]  # CONFIRMED → RELEASED: returns to available

    @property
    def moves_stock(self) -> bool:
        """Whether any reservation changes."""
        return bool(self.confirm or self.release or self.restock)


def turn(holds: Mapping[str, Hold], step: Callable[[Hold], Hold]) -> Turn:
    """Take one step (paid, ended, expired) with every hold. A step taken twice is the step taken once."""
    changed, confirm, release, restock = [], [], [], []
    for order_id, before in holds.items():
        after = step(before)
        if after == before:
            continue
        changed.append(after)
        match before.state, after.state:
            case HoldState.HELD, HoldState.CONFIRMED:
                confirm.append(order_id)
            case HoldState.HELD, HoldState.RELEASED | HoldState.EXPIRED:
                release.append(order_id)
            case HoldState.CONFIRMED, HoldState.RELEASED:
                restock.append(order_id)
    return Turn(changed, confirm, release, restock)


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
