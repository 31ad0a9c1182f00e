"""What inventory answers to whoever reserves by hand, over HTTP and for no order. Pure, like the domain beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from ecom.inventory.domain import Status, Stock


class Refusal(StrEnum):
    """Why a reservation by hand is refused."""

    UNKNOWN_SKU = "UNKNOWN_SKU"
    NOT_ENOUGH = "NOT_ENOUGH"
    EXISTS = "RESERVATION_EXISTS"
    UNKNOWN = "RESERVATION_UNKNOWN"
    NOT_RESERVED = "RESERVATION_NOT_RESERVED"
    OF_AN_ORDER = "RESERVATION_OF_AN_ORDER"


@dataclass(frozen=True, slots=True)
class Wish:
    """A reservation by hand, asked for."""

    reservation_id: str
    sku: str
    quantity: int
    ttl: timedelta


@dataclass(frozen=True, slots=True)
class Reservation:
    """A reservation as stored; ``order_id`` is None for one made by hand."""

    reservation_id: str
    order_id: str | None
    sku: str
    quantity: int
    status: Status


Answer = Stock | Refusal


def grant(wishes: Iterable[Wish], stock: Mapping[str, Stock], known: Iterable[str]) -> list[Answer]:
    """Answer wishes in the order of their arrival: the stock after it, or why not."""
    now, taken = dict(stock), set(known)
    answers: list[Answer] = []
    for wish in wishes:
        before = now.get(wish.sku)
        if wish.reservation_id in taken:
            answers.append(Refusal.EXISTS)
        elif before is None:
            answers.append(Refusal.UNKNOWN_SKU)
        elif before.available < wish.quantity:
            answers.append(Refusal.NOT_ENOUGH)
        else:
            now[wish.sku] = before.moved(available=-wish.quantity, reserved=wish.quantity)
            taken.add(wish.reservation_id)
            answers.append(now[wish.sku])
    return answers


def end_by_hand(
    asked: Iterable[str], to: Status, reservations: Mapping[str, Reservation], stock: Mapping[str, Stock]
) -> list[Answer]:
    """Confirm or release reservations made by hand; those of an order follow their order only."""
    now, open_ = dict(stock), dict(reservations)
    answers: list[Answer] = []
    for reservation_id in asked:
        found = open_.get(reservation_id)
        if found is None:
            answers.append(Refusal.UNKNOWN)
        elif found.order_id is not None:
            answers.append(Refusal.OF_AN_ORDER)
        elif found.status is not Status.RESERVED:
            answers.append(Refusal.NOT_RESERVED)
        else:
            returned = found.quantity if to is Status.RELEASED else 0
            now[found.sku] = now[found.sku].moved(available=returned, reserved=-found.quantity)
            open_[reservation_id] = replace(found, status=to)
            answers.append(now[found.sku])
    return answers
