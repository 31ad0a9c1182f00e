"""The original's rules about a message value, from the wire contract alone: a strict reader with no code of ours.

It knows neither the schemas nor the Structs: what these say wrong, it may find.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

Rule = Callable[[Any], bool]

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
EVENT_TYPE = re.compile(r"[a-z]+(\.[a-z-]+)+\.v[0-9]+")
INSTANT = re.compile(r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?Z")
DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")
LETTERS = re.compile(r"[A-Za-z]{3}")
CAMEL = re.compile(r"[a-z][A-Za-z0-9]*")


def text(at_most: int | None = None) -> Rule:
    """A string that says something, of so many characters."""
    return lambda value: isinstance(value, str) and 1 <= len(value) <= (at_most or len(value))


def like(form: re.Pattern[str]) -> Rule:
    """A string of this form."""
    return lambda value: isinstance(value, str) and form.fullmatch(value) is not None


def whole(least: int, most: int) -> Rule:
    """An integer in a range, and no boolean, which Python takes for one."""
    return lambda value: type(value) is int and least <= value <= most


def one_of(*words: str) -> Rule:
    """One of these strings."""
    return lambda value: value in words


def or_null(rule: Rule) -> Rule:
    """The same, or null."""
    return lambda value: value is None or rule(value)


def lines(value: Any) -> bool:
    """The lines of an order."""
    rules = {"productId": text(100), "sku": text(100), "quantity": whole(1, 2**31 - 1), "unitPrice": like(DECIMAL)}
    return isinstance(value, list) and value != [] and all(not wrong(line, rules) for line in value)


def texts(value: Any) -> bool:
    """A list of strings."""
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def anything(value: Any) -> bool:
    """A string, also an empty one."""
    return isinstance(value, str)


LONG = whole(-(2**63), 2**63 - 1)
ORDER = {"orderId": text(50)}
PAID = {**ORDER, "paymentId": text(), "occurredAt": like(INSTANT)}
ANSWERED = {**PAID, "providerPaymentId": text(80)}
SETTLED = {**PAID, "amount": like(DECIMAL), "currency": like(LETTERS)}
GIVEN_UP = {
    "eventId": like(UUID),
    "eventType": like(EVENT_TYPE),
    "recipientEmail": text(),
    "reason": or_null(anything),
    "retries": whole(0, 2**31 - 1),
    "sourceTopic": text(),
}
LETTER = {"userId": LONG, "subject": anything, "body": anything}
# Event type: required fields, optional fields.
PAYLOADS: Mapping[str, tuple[Mapping[str, Rule], Mapping[str, Rule]]] = {
    "order.created.v1": (
        {
            **ORDER,
            "userId": LONG,
            "currency": like(LETTERS),
            "status": text(),
            "items": lines,
            "createdAt": like(INSTANT),
        },
        {"totalAmount": like(DECIMAL), "email": text(254), "paymentMethod": text(64)},
    ),
    "order.timed-out.v1": ({**ORDER, "userId": LONG, "status": text(), "timedOutAt": like(INSTANT)}, {}),
    "order.confirmed.v1": ({**ORDER, "userId": LONG, "confirmedAt": like(INSTANT)}, {}),
    "order.cancelled.v1": ({**ORDER, "userId": LONG, "reason": text(), "cancelledAt": like(INSTANT)}, {}),
    "payment.authorized.v1": (
        {**ANSWERED, "status": one_of("AUTHORIZED")},
        {"reason": or_null(anything), "userId": LONG, "amount": like(DECIMAL), "currency": like(LETTERS)},
    ),
    "payment.failed.v1": (
        {**ANSWERED, "status": one_of("FAILED")},
        {"reason": or_null(anything), "userId": LONG},
    ),
    "payment.captured.v1": (SETTLED, {"reason": anything}),
    "payment.refunded.v1": (SETTLED, {"reason": anything}),
    "inventory.reserved.v1": ({**ORDER, "emittedAt": like(INSTANT)}, {}),
    "inventory.reservation.failed.v1": ({**ORDER, "emittedAt": like(INSTANT)}, {"reason": anything}),
    "product.upserted.v1": (
        {"productId": text(100), "name": text(), "price": like(DECIMAL)},
        {
            **dict.fromkeys(("description", "category", "brand"), anything),
            **dict.fromkeys(("colors", "sizes"), texts),
            "active": lambda value: isinstance(value, bool),
            "version": whole(0, 2**63 - 1),
            "sku": text(100),
            "currency": like(LETTERS),
        },
    ),
    "product.deleted.v1": ({"productId": text(100)}, {"version": whole(0, 2**63 - 1)}),
    "notification.alert.v1": (
        {
            "severity": one_of("HIGH"),
            "alertType": text(),
            "eventId": like(UUID),
            "eventType": like(EVENT_TYPE),
            "reason": or_null(anything),
            "retries": whole(0, 2**31 - 1),
            "createdAt": like(INSTANT),
        },
        {},
    ),
    "notification.dlq.v1": (GIVEN_UP, LETTER),
    "notification.dead-letter.v1": (GIVEN_UP, LETTER),
}
ENVELOPE: Mapping[str, Rule] = {
    "eventId": like(UUID),
    "eventType": lambda value: like(EVENT_TYPE)(value) and len(value) <= 64,
    "occurredAt": like(INSTANT),
    "producer": like(re.compile(r"[a-z]+-service")),
    "schemaVersion": like(re.compile(r"v[0-9]+")),
    "traceId": text(),
    "payload": lambda value: isinstance(value, dict),
}


def broken(value: bytes) -> list[str]:
    """Every rule that a message value breaks; none where the original would take it."""
    try:
        envelope = json.loads(value.decode("utf-8"), object_pairs_hook=_once)
    except ValueError as error:
        return [str(error)]
    if complaints := wrong(envelope, ENVELOPE):
        return complaints
    kind = envelope["eventType"]
    if not kind.endswith("." + envelope["schemaVersion"]):
        return ["schemaVersion is not that of eventType"]
    if kind not in PAYLOADS:
        return [f"{kind} is no event"]
    return wrong(envelope["payload"], *PAYLOADS[kind])


def wrong(value: Any, required: Mapping[str, Rule], optional: Mapping[str, Rule] | None = None) -> list[str]:
    """What is wrong with an object of these fields and no others."""
    if not isinstance(value, dict):
        return [f"{value!r} is no object"]
    rules = {**required, **(optional or {})}
    complaints = [f"{name} is missing" for name in required if name not in value]
    complaints += [f"{name} is unknown" for name in value if name not in rules]
    complaints += [f"{name} is not camelCase" for name in value if not CAMEL.fullmatch(name)]
    given = [(name, value[name]) for name in rules if name in value]
    return complaints + [f"{name} is {each!r}" for name, each in given if not rules[name](each)]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no name stands twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice")
    return found
