"""I20, I21: what clients were told, in journals that the shop does not keep."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from ecom.audit import clients
from ecom.audit.journal import Answered, Asked, Line
from tests.audit.books import SOLD, Books
from tests.audit.plants.planting import breaks

WANTED: dict[str, Any] = {
    "userId": 7,
    "currency": "usd",
    "items": [
        {"productId": "a", "sku": "a", "quantity": 2, "unitPrice": 5},
        {"productId": "b", "sku": "b", "quantity": 1, "unitPrice": 2.5},
    ],
}
SHOWN: dict[str, Any] = {
    **WANTED,
    "currency": "USD",
    "id": SOLD,
    "status": "PAYMENT_PENDING",
    "totalAmount": 12.5,
    "createdAt": "2026-01-01T00:00:00Z",
}


def raw(body: Any) -> msgspec.Raw:
    """A body as it went over the wire."""
    return msgspec.Raw(msgspec.json.encode(body))


def asked(call: int, *, path: str = "/api/orders", client: str = "ann", **more: Any) -> Asked:
    """A placing, or with a path a look."""
    if path != "/api/orders":
        return Asked(client, call, "GET", path)
    return Asked(client, call, "POST", path, **{"key": "k1", "trace": "trace-sold", "body": raw(WANTED), **more})


def answered(call: int, *, client: str = "ann", status: int = 200, **changes: Any) -> Answered:
    """An answer that shows the order that was sold."""
    return Answered(client, call, status, raw({**SHOWN, **changes}))


def look(call: int, status: str, *, client: str = "ann") -> list[Line]:
    """A look at the order, and what was seen."""
    answer = Answered(client, call, 200, raw({**SHOWN, "status": status}))
    return [asked(call, path=f"/api/orders/{SOLD}", client=client), answer]


PLACED: list[Line] = [asked(1), answered(1, status=201)]


def keep(books: Books, *lines: Line) -> None:
    """The journal of a test."""
    books.given = replace(books.given, journal=lines)


@breaks(clients.acknowledged_amiss)
async def an_order_that_was_lost(books: Books) -> None:
    """A client was told that an order is placed, and it is not there."""
    keep(books, asked(1, trace=None), answered(1, status=201, id="ord_lost"))


@breaks(clients.acknowledged_amiss)
async def an_order_shown_otherwise(books: Books) -> None:
    """A client was shown another total than the order has."""
    keep(books, asked(1), answered(1, status=201, totalAmount=12.4))


@breaks(clients.acknowledged_amiss)
async def an_order_of_other_lines(books: Books) -> None:
    """What is there is what was shown, and not what was asked for."""
    keep(books, asked(1, body=raw({**WANTED, "items": WANTED["items"][:1]})), answered(1, status=201))


@breaks(clients.acknowledged_amiss)
async def an_order_from_nonsense(books: Books) -> None:
    """What was asked for is no order at all, and one was made of it."""
    keep(books, asked(1, body=raw([])), answered(1, status=201))


@breaks(clients.placed_twice)
async def two_orders_for_one_key(books: Books) -> None:
    """The same key was answered with two orders."""
    refused = {"id": "ord_refused", "userId": 8, "totalAmount": 5, "items": [{**WANTED["items"][0], "quantity": 1}]}
    again = asked(2, trace=None, body=raw({**WANTED, **refused}))
    keep(books, *PLACED, again, answered(2, status=201, **refused))


@breaks(clients.placed_twice)
async def two_orders_for_a_key_without_answer(books: Books) -> None:
    """A placing was sent twice, its answers were lost, and two orders are there."""
    await books.run("order", "UPDATE orders SET trace_id = 'trace-sold' WHERE id = 'ord_refused'")
    keep(books, asked(1), asked(2))


@breaks(clients.seen_to_go_back)
async def a_confirmed_order_seen_pending(books: Books) -> None:
    """A client saw CONFIRMED, asked again, and saw PAYMENT_PENDING."""
    keep(books, *look(1, "CONFIRMED"), *look(2, "PAYMENT_PENDING"))


@breaks(clients.seen_to_go_back)
async def an_end_seen_as_another(books: Books) -> None:
    """A client saw CONFIRMED and CANCELLED, and then FAILED: no order ends twice."""
    keep(books, *look(1, "CONFIRMED"), *look(2, "CANCELLED"), *look(3, "FAILED"))
