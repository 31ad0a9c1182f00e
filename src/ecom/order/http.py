"""The order service's HTTP: bodies, their bounds, and which question goes where."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter
from prometheus_client import Counter as Metric

from dovecote import outbox
from dovecote.database import Database
from dovecote.events import Traced
from dovecote.gather import Gather
from ecom.contracts.money import CURRENCIES, plain, total_of
from ecom.contracts.order import OrderLine
from ecom.order import refusals, saga, store
from ecom.order.domain import LINES_MAX, TOTAL_MAX, Happening, NewOrder, Order, Outcome
from ecom.order.patience import Answer, Delay, Patience
from ecom.order.prices import Refused
from ecom.order.saga import Placement, Step
from ecom.web.correlation import cause_of
from ecom.web.express import EXPRESS
from ecom.web.idempotency import Running, key_of
from ecom.web.problems import Problem

KEY_LENGTH_MAX = 255
QUANTITY_MAX = 2**31 - 1
USER_ID_MAX = 2**63 - 1
PRICE_DIGITS_MAX = 6
LIST_DEFAULT = 100

OUTBOX_REPLAYED = Metric("order_outbox_replay", "Outbox records of the order service set back by an operator.")

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_encode = msgspec.json.Encoder().encode

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Line(msgspec.Struct, frozen=True, rename="camel"):
    """One line of a placing."""

    product_id: Text
    sku: Text
    quantity: Annotated[int, msgspec.Meta(ge=1, le=QUANTITY_MAX)]
    unit_price: Decimal


class PlaceOrder(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a placing."""

    user_id: Annotated[int, msgspec.Meta(ge=1, le=USER_ID_MAX)]
    currency: Annotated[str, msgspec.Meta(min_length=3, max_length=3)]
    items: Annotated[list[Line], msgspec.Meta(min_length=1, max_length=LINES_MAX)]
    email: Annotated[str, msgspec.Meta(min_length=3, max_length=254)] | None = None
    payment_method: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None


class OrderAnswer(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """An order as clients see it; ``reason`` says why it ended without a sale."""

    id: str
    user_id: int
    status: str
    total_amount: Decimal
    currency: str
    items: tuple[OrderLine, ...]
    created_at: datetime
    updated_at: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration says about orders; ``by_catalogue`` holds their prices against the price list."""

    payment_timeout: timedelta
    by_catalogue: bool = True
    price_patience: timedelta = timedelta(seconds=1)


def routes(database: Database, rules: Rules) -> list[HTTPRouteHandler]:
    """The handlers, bound to the service's database."""

    async def place_together(placements: Sequence[Placement]) -> Sequence[Answer]:
        async with database.transaction() as tx:
            return await saga.place_once(
                tx, placements, payment_timeout=rules.payment_timeout, by_catalogue=rules.by_catalogue
            )

    async def read_together(order_ids: Sequence[str]) -> Sequence[Order | None]:
        found = await store.read(database, order_ids)
        return [found.get(order_id) for order_id in order_ids]

    gather: Gather[Placement, Answer] = Gather(place_together, batch_max=100, at_once=2)
    reading: Gather[str, Order | None] = Gather(read_together, batch_max=100)
    patience = Patience(database, rules.price_patience)
    running = Running()

    @post("/api/orders", opt=EXPRESS, summary="Place an order")
    async def place(data: JSONBody[PlaceOrder], request: Request[Any, Any, Any]) -> OrderAnswer:
        """Place an order at the catalogue's prices.

        Send an Idempotency-Key to be able to send the order again: the same body gets the same answer, another one 422,
        and while the first is still running 409 with Retry-After.
        """
        key = key_of(request, length_max=KEY_LENGTH_MAX)
        new = _new_order(data, cause_of(request))
        placement = Placement(new, key, _hash(new) if key else b"")
        with running.hold(key) as alone:
            answer: Answer | Delay = await (gather(placement) if alone else saga.repeat(database, placement))
            if isinstance(answer, Refused):
                answer = await patience(placement, again=gather)
        return _answer(refusals.order_of(answer))

    @get("/api/orders/{order_id:str}", opt=EXPRESS, summary="One order")
    async def show(order_id: FromPath[str]) -> OrderAnswer:
        """The order as it stands."""
        order = await reading(order_id)
        if order is None:
            raise _unknown(order_id)
        return _answer(order)

    @get("/api/orders", summary="A customer's orders")
    async def of_user(
        # Litestar names a wrong parameter by its Python name, so this one is the client's.
        userId: Annotated[int | None, QueryParameter(ge=1, le=USER_ID_MAX)] = None,  # noqa: N803
        limit: Annotated[int, QueryParameter(ge=1, le=store.LIST_MAX)] = LIST_DEFAULT,
    ) -> list[OrderAnswer]:
        """Newest first."""
        if userId is None:
            raise _wrong("userId", "is required")
        return [_answer(order) for order in await store.of_user(database, userId, limit)]

    @post("/api/orders/{order_id:str}/cancel", status_code=200, summary="Cancel an order")
    async def cancel(order_id: FromPath[str], request: Request[Any, Any, Any]) -> OrderAnswer:
        """A pending order ends; a confirmed one is refunded and restocked."""
        return await _ask(database, order_id, Happening.CANCEL_ASKED, cause_of(request))

    @post("/api/orders/{order_id:str}/confirm", status_code=200, summary="Ask whether an order is confirmed")
    async def confirm(order_id: FromPath[str], request: Request[Any, Any, Any]) -> OrderAnswer:
        """Answers the order where payment and stock have both said yes; it never overrides the saga."""
        return await _ask(database, order_id, Happening.CONFIRM_ASKED, cause_of(request))

    @post("/api/orders/admin/saga/timeouts/run", status_code=200, summary="Time out overdue orders now")
    async def run_timeouts() -> str:
        """Ends a bounded number of orders past their deadline."""
        ended = await saga.time_out_overdue(database, lane="api")
        return f"Timed out {ended} orders."

    @post("/api/orders/admin/outbox/replay-failed", status_code=200, summary="Send failed events again")
    async def replay_failed() -> str:
        """Sets up to 100 FAILED outbox records back to PENDING."""
        replayed = await outbox.replay_failed(database, actor="an operator over HTTP")
        OUTBOX_REPLAYED.inc(replayed)
        return f"Replayed {replayed} failed outbox records."

    return [place, show, of_user, cancel, confirm, run_timeouts, replay_failed]


async def _ask(database: Database, order_id: str, happening: Happening, because: Traced) -> OrderAnswer:
    """Put a customer's wish to the saga; the answer is the order after it."""
    async with database.transaction() as tx:
        (move,) = await saga.advance(tx, [Step(order_id, happening, because)])
        if move is None:
            raise _unknown(order_id)
        if move.outcome is Outcome.REFUSED:
            wish = "cancelled" if happening is Happening.CANCEL_ASKED else "confirmed"
            raise Problem(409, "ORDER_STATE", f"Order {order_id} is {move.before.status} and cannot be {wish} now.")
        order = (await store.read(tx, [order_id]))[order_id]
    return _answer(order)


def _unknown(order_id: str) -> Problem:
    return Problem(404, "ORDER_UNKNOWN", f"There is no order {order_id[:60]}.")


def _answer(order: Order) -> OrderAnswer:
    return OrderAnswer(
        id=order.id,
        user_id=order.user_id,
        status=order.status,
        total_amount=order.total_amount,
        currency=order.currency,
        items=order.items,
        created_at=order.created_at,
        updated_at=order.updated_at,
        reason=order.reason,
    )


def _new_order(body: PlaceOrder, because: Traced) -> NewOrder:
    """What a body asks for; raises Problem naming the first field that cannot be."""
    currency = body.currency.upper()
    if currency not in CURRENCIES:
        raise _wrong("currency", f"{body.currency!r} is not an ISO 4217 code")
    if body.email is not None and not _EMAIL.fullmatch(body.email):
        raise _wrong("email", "not an address")
    items = tuple(_line(number, line) for number, line in enumerate(body.items))
    per_sku: Counter[str] = Counter()
    for line in items:
        per_sku[line.sku] += line.quantity
    if max(per_sku.values()) > QUANTITY_MAX:
        raise _wrong("items", f"more than {QUANTITY_MAX} of one sku")
    if total_of((line.unit_price, line.quantity) for line in items) > TOTAL_MAX:
        raise _wrong("items", f"a total beyond {TOTAL_MAX}")
    return NewOrder(
        user_id=body.user_id,
        currency=currency,
        items=items,
        because=because,
        email=body.email,
        payment_method=body.payment_method,
    )


def _line(number: int, line: Line) -> OrderLine:
    field, price = f"items[{number}].unitPrice", line.unit_price
    if not price.is_finite() or price < 0:
        raise _wrong(field, "a finite price of 0 or more is needed")
    if price > TOTAL_MAX:
        raise _wrong(field, f"more than {TOTAL_MAX}")
    if price.as_tuple().exponent < -PRICE_DIGITS_MAX:  # type: ignore[operator]  # finite: a number
        raise _wrong(field, f"more than {PRICE_DIGITS_MAX} digits after the point")
    return OrderLine(product_id=line.product_id, sku=line.sku, quantity=line.quantity, unit_price=plain(price))


def _hash(new: NewOrder) -> bytes:
    """What tells an order from another under the same key: all that it asks for, however its JSON was written."""
    lines = [(line.product_id, line.sku, line.quantity, line.unit_price.normalize()) for line in new.items]
    asked = (new.user_id, new.currency, lines, new.email, new.payment_method)
    return hashlib.blake2b(_encode(asked), digest_size=16).digest()


def _wrong(field: str, sentence: str) -> Problem:
    return Problem(400, "VALIDATION_FAILED", f"{field}: {sentence}.", field=field)
