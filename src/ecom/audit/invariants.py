"""The table of all questions: what must hold, when it can be asked, and the function that finds where it does not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from ecom.audit import (
    aside,
    catalogue,
    clients,
    effects,
    events,
    mails,
    money,
    offsets,
    orders,
    sessions,
    stock,
    telling,
)
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
    Invariant("I3", A, "an order's reservations are not its lines, all alike", stock.partly_held),
    Invariant("I4", Q, "an order waits beyond its deadline", orders.overdue),
    Invariant("I5", Q, "a confirmed order is not paid once and held whole", money.confirmed_amiss),
    Invariant("I6", Q, "an ended order holds money or stock", money.ended_amiss),
    Invariant("I7", A, "the provider holds part of an order's price", money.part_of_the_price),
    Invariant("I7", Q, "the provider holds money for no sale", money.sold_amiss),
    Invariant("I8", A, "an order was charged twice", money.charged_twice),
    Invariant("I8", A, "an idempotency key was used for two requests", money.key_used_twice),
    Invariant("I9", A, "an order moved as the saga does not allow", orders.moved_amiss),
    Invariant("I9", A, "a decision about an order has two winners", orders.decided_twice),
    Invariant("I9", A, "an order's history does not lead to where it stands", orders.history_broken),
    Invariant("I10", Q, "an outbox and the topics differ", events.not_sent_as_stored),
    Invariant("I10", Q, "a topic holds an event that no outbox knows", events.phantoms),
    Invariant("I11", A, "the events of an aggregate have a gap", telling.gaps),
    Invariant("I11", A, "an order's changes and its events differ", telling.orders_amiss),
    Invariant("I11", A, "a hold and inventory's events differ", telling.holds_amiss),
    Invariant("I11", A, "a payment and its events differ", telling.payments_amiss),
    Invariant("I11", A, "a product and its events differ", telling.products_amiss),
    Invariant("I11", A, "a given up mail and its events differ", telling.notifications_amiss),
    Invariant("I12", Q, "an event was not heard", events.unheard),
    Invariant("I13", A, "a change moved stock twice", effects.repeated_movements),
    Invariant("I13", A, "the provider is asked twice for one operation", effects.repeated_calls),
    Invariant("I13", A, "an event has two mails", effects.repeated_mails),
    Invariant("I14", Q, "an event lies behind a later one of its aggregate", events.out_of_order),
    Invariant("I15", A, "a group's committed offset fell", offsets.fallen),
    Invariant("I15", Q, "a group has not committed the end of what it hears", offsets.short_of_the_end),
    Invariant("I16", Q, "an outbox record is stuck", aside.unsent),
    Invariant("I17", Q, "dead letters are not the known poison", aside.unhandled),
    Invariant("I18", Q, "an order has two mails of one template", mails.told_twice),
    Invariant("I18", Q, "a mail about an order is missing or has not left", mails.not_told),
    Invariant("I18", Q, "a mail is about no order", mails.strangers_told),
    Invariant("I18", Q, "a mail did not arrive as it was sent", mails.not_arrived),
    Invariant("I19", Q, "search knows another state of a product", catalogue.indexed_amiss),
    Invariant("I19", Q, "a document differs from its product", catalogue.documents_amiss),
    Invariant("I19", Q, "the price list differs from the products", catalogue.prices_amiss),
    Invariant("I20", Q, "an acknowledged order is missing or another", clients.acknowledged_amiss),
    Invariant("I20", Q, "an idempotency key has two orders", clients.placed_twice),
    Invariant("I21", A, "a client saw an order go back", clients.seen_to_go_back),
    Invariant("I22", Q, "a session is idle in a transaction", sessions.idle_in_transaction),
    Invariant("I22", Q, "a relay's lock is held by nobody in office", sessions.orphan_locks),
    Invariant("I22", Q, "the database met a deadlock", sessions.deadlocked),
)

ELSEWHERE: Mapping[str, str] = {
    "I23": "canary values must be planted before they can be looked for: the security tests do both",
    "I24": "a window without progress is seen only by who watches all the time: the chaos runs do",
}
"""Invariants of the catalogue that an audit cannot judge, and who does."""
