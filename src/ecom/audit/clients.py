"""Clients: what the shop has told them is so, and never less than it was; asked of their own journal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPMethod

import msgspec

from dovecote import Record
from ecom.audit import store
from ecom.audit.evidence import Evidence
from ecom.audit.journal import Answered, Asked, Line
from ecom.audit.pages import chunks
from ecom.order.domain import ALLOWED, Status

ORDERS_PATH = "/api/orders"


class _Item(msgspec.Struct, rename="camel", frozen=True, order=True):
    product_id: str
    sku: str
    quantity: int
    unit_price: Decimal


class _Shown(msgspec.Struct, rename="camel", frozen=True):
    """An order as an answer shows it."""

    id: str
    status: Status
    user_id: int | None = None
    currency: str | None = None
    total_amount: Decimal | None = None
    items: tuple[_Item, ...] = ()


class _Wanted(msgspec.Struct, rename="camel", frozen=True):
    """An order as a placing asks for it."""

    user_id: int
    currency: str
    items: tuple[_Item, ...]


@dataclass(frozen=True, slots=True)
class _Placing:
    """A placing that was acknowledged."""

    asked: Asked
    shown: _Shown


_shown = msgspec.json.Decoder(_Shown).decode
_wanted = msgspec.json.Decoder(_Wanted).decode
_items = msgspec.json.Decoder(tuple[_Item, ...]).decode


async def acknowledged_amiss(evidence: Evidence) -> list[str]:
    """I20: an order that was acknowledged is there, as it was asked for and as it was shown."""
    rows = []
    for chunk in chunks(_acknowledged(evidence.given.journal)):
        found = await evidence.order.fetch(store.ORDERS_NAMED, [each.shown.id for each in chunk])
        stored = {row["id"]: row for row in found}
        for each in chunk:
            difference = _difference(each, stored.get(each.shown.id))
            if difference:
                rows.append(f"{each.shown.id}: {difference}")
    return rows


async def placed_twice(evidence: Evidence) -> list[str]:
    """I20: one order an Idempotency-Key, whether or not its client had an answer."""
    orders: dict[str, set[str]] = defaultdict(set)
    for each in _acknowledged(evidence.given.journal):
        if each.asked.key is not None:
            orders[each.asked.key].add(each.shown.id)
    keys = {line.trace: line.key for line in evidence.given.journal if isinstance(line, Asked) and line.trace}
    for chunk in chunks(trace for trace, key in keys.items() if key is not None):
        for row in await evidence.order.fetch(store.ORDERS_OF_TRACES, chunk):
            orders[keys[row["trace_id"]] or ""].update(row["ids"])
    return [f"key {key}: {len(ids)} orders ({', '.join(sorted(ids))})" for key, ids in orders.items() if len(ids) > 1]


async def seen_to_go_back(evidence: Evidence) -> list[str]:
    """I21: what one client sees of an order goes on; calls that overlap may be answered in any order.

    The answer to a placing is no look at the order: sent again, it repeats what it said first.
    """
    seen: dict[tuple[str, str], Status] = {}
    known: dict[tuple[str, int], Mapping[tuple[str, str], Status]] = {}
    rows = []
    for line in evidence.given.journal:
        call = line.client, line.call
        if isinstance(line, Asked):
            if not _places(line) and (of := _order_id(line)) is not None:
                place = line.client, of
                known[call] = {place: seen[place]} if place in seen else {}
            continue
        if call not in known or (shown := _order(line)) is None:
            continue
        place, status = (line.client, shown.id), shown.status
        before = known.pop(call).get(place)
        if before is not None and not _leads(before, status):
            rows.append(f"{shown.id}: {line.client} saw {before}, then {status}")
        if place not in seen or _leads(seen[place], status):
            seen[place] = status
    return rows


def _acknowledged(journal: Sequence[Line]) -> Iterator[_Placing]:
    """The placings that were answered with an order."""
    placing: dict[tuple[str, int], Asked] = {}
    for line in journal:
        call = line.client, line.call
        if isinstance(line, Asked):
            if _places(line):
                placing[call] = line
        elif (asked := placing.pop(call, None)) is not None and (shown := _order(line)) is not None:
            yield _Placing(asked, shown)


def _places(asked: Asked) -> bool:
    return asked.method == HTTPMethod.POST and asked.path == ORDERS_PATH


def _order_id(asked: Asked) -> str | None:
    """The order that a call is about: GET of one, or a wish concerning it."""
    head, _, rest = asked.path.partition(f"{ORDERS_PATH}/")
    order_id = rest.partition("?")[0].partition("/")[0]
    return order_id if head == "" and order_id not in ("", "admin") else None


def _order(answer: Answered) -> _Shown | None:
    """The order in an answer of success; None where it holds none."""
    if not bytes(answer.body) or not 200 <= answer.status < 300:
        return None
    try:
        return _shown(answer.body)
    except msgspec.MsgspecError:
        return None


def _difference(placing: _Placing, stored: Record | None) -> str | None:
    if stored is None:
        return f"acknowledged to {placing.asked.client}, and there is no such order"
    there: tuple[int, str, list[_Item]] = (stored["user_id"], stored["currency"], sorted(_items(stored["items"])))
    shown = placing.shown
    if (shown.user_id, shown.currency, sorted(shown.items)) != there or shown.total_amount != stored["total_amount"]:
        return f"shown to {placing.asked.client} otherwise than it is"
    return None if _asks_for(placing.asked, there) else f"otherwise than {placing.asked.client} asked for it"


def _asks_for(asked: Asked, order: tuple[int, str, list[_Item]]) -> bool:
    """Whether the body of a placing asks for this order; one that was not written down may have."""
    if not bytes(asked.body):
        return True
    try:
        wanted = _wanted(asked.body)
    except msgspec.MsgspecError:
        return False
    return (wanted.user_id, wanted.currency.upper(), sorted(wanted.items)) == order


def _leads(before: Status, after: Status) -> bool:
    """Whether an order may come from one status to another, in any number of steps."""
    return before is after or any(start is before and _leads(then, after) for start, then in ALLOWED)
