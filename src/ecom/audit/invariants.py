"""The table of all questions: what must hold, when it can be asked, and the function that finds where it does not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from ecom.audit import catalogue, effects, events, money, orders, stock
from ecom.audit.evidence import Evidence

Check = Callable[[Evidence], Awaitable[list[str]]]


class When(Enum):
    """An invariant holds at any time, or only once everything has come to rest."""

    ALWAYS = "at any time"
    QUIESCED = "at rest"


@dataclass(frozen=True, slots=True)
class Invariant:
    """One question; ``check`` returns the places where it fails, a line each."""

    name: str
    when: When
    what: str
    check: Check


A, Q = When.ALWAYS, When.QUIESCED

INVARIANTS: tuple[Invariant, ...] = (
    Invariant("I1", A, "stock is below zero", stock.below_zero),
    Invariant("I2", A, "stock does not add up", stock.unbalanced),
    Invariant("I3", A, "an order holds some of its lines", stock.partly_held),
    Invariant("I4", Q, "an order waits beyond its deadline", orders.overdue),
    Invariant("I5", Q, "a confirmed order is not paid once and held whole", money.confirmed_amiss),
    Invariant("I6", Q, "an ended order holds money or stock", money.ended_amiss),
    Invariant("I7", A, "the provider holds part of an order's price", money.part_of_the_price),
    Invariant("I7", Q, "the provider's books and the order disagree on the sale", money.sold_amiss),
    Invariant("I8", A, "an order was charged twice or a key used twice", money.charged_twice),
    Invariant("I10", Q, "an outbox and the topics differ", events.not_sent_as_stored),
    Invariant("I10", Q, "a topic holds an event that no outbox knows", events.phantoms),
    Invariant("I11", A, "the events of an aggregate have a gap", events.gaps),
    Invariant("I11", A, "a change has no event or an event no change", events.untold),
    Invariant("I12", Q, "an event was not heard", events.unheard),
    Invariant("I13", A, "an event had its effect twice", effects.repeated),
    Invariant("I16", Q, "an outbox record is stuck", events.stuck),
    Invariant("I19", Q, "search knows another state of a product", catalogue.indexed_amiss),
    Invariant("I19", Q, "a document differs from its product", catalogue.documents_amiss),
    Invariant("I19", Q, "the price list differs from the products", catalogue.prices_amiss),
)
