"""Inventory over HTTP: stock levels, and reservations by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from dovecote.database import Database
from dovecote.errors import DovecoteError
from dovecote.gather import Gather
from ecom.contracts import Quantity, Sku
from ecom.inventory import manual_store, store
from ecom.inventory.domain import Status, Stock
from ecom.inventory.manual import Answer, Refusal, Wish
from ecom.inventory.manual_store import ReservationRaced
from ecom.web.correlation import cause_of
from ecom.web.express import EXPRESS
from ecom.web.problems import Problem

RACES_MAX = 5
_SENTENCES = {
    Refusal.UNKNOWN_SKU: (400, "There is no stock of this SKU."),
    Refusal.NOT_ENOUGH: (400, "There is not enough of this SKU available."),
    Refusal.EXISTS: (400, "A reservation with this id exists already."),
    Refusal.UNKNOWN: (400, "There is no reservation with this id."),
    Refusal.NOT_RESERVED: (400, "The reservation is no longer RESERVED."),
    Refusal.OF_AN_ORDER: (409, "The reservation belongs to an order and follows it; cancel the order instead."),
}


class StockLevel(msgspec.Struct, frozen=True, rename="camel"):
    """POST /api/inventory/stock: what is available of a SKU from now on."""

    sku: Sku
    available_quantity: Annotated[int, Meta(ge=0, lt=2**31)]


class StockAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """What there is of a SKU."""

    sku: str
    available_quantity: int
    reserved_quantity: int


class Reserve(msgspec.Struct, frozen=True, rename="camel"):
    """POST /api/inventory/reserve."""

    reservation_id: Annotated[str, Meta(min_length=1, max_length=100)]
    sku: Sku
    quantity: Quantity
    ttl_minutes: Annotated[int, Meta(ge=1, le=120)]


class ReservationRef(msgspec.Struct, frozen=True, rename="camel"):
    """POST /api/inventory/release and /confirm."""

    reservation_id: Annotated[str, Meta(min_length=1, max_length=100)]


def routes(database: Database) -> list[HTTPRouteHandler]:
    """The calls of the inventory service; writes that arrive together share a transaction."""
    reserving: Gather[Wish, Answer] = Gather(_reserving(database))
    releasing: Gather[str, Answer] = Gather(_ending(database, Status.RELEASED))
    confirming: Gather[str, Answer] = Gather(_ending(database, Status.CONFIRMED))

    @post("/api/inventory/stock")
    async def put_stock(data: JSONBody[StockLevel], request: Request[Any, Any, Any]) -> StockAnswer:
        async with database.transaction() as tx:
            lines = [(data.sku, data.available_quantity)]
            [stock] = await store.put_stock(tx, lines, because=cause_of(request))
        return _shown(stock)

    @get("/api/inventory/stock/{sku:str}")
    async def show_stock(sku: FromPath[str]) -> StockAnswer:
        stock = await store.find_stock(database, sku)
        if stock is None:
            raise Problem(404, "UNKNOWN_SKU", "There is no stock of this SKU.", field="sku")
        return _shown(stock)

    @post("/api/inventory/reserve", opt=EXPRESS, status_code=200)
    async def reserve(data: JSONBody[Reserve]) -> StockAnswer:
        ttl = timedelta(minutes=data.ttl_minutes)
        return _answered(await reserving(Wish(data.reservation_id, data.sku, data.quantity, ttl)))

    @post("/api/inventory/release", status_code=200)
    async def release(data: JSONBody[ReservationRef]) -> StockAnswer:
        return _answered(await releasing(data.reservation_id))

    @post("/api/inventory/confirm", status_code=200)
    async def confirm(data: JSONBody[ReservationRef]) -> StockAnswer:
        return _answered(await confirming(data.reservation_id))

    return [put_stock, show_stock, reserve, release, confirm]


Answers = Sequence[Answer | DovecoteError]


def _reserving(database: Database) -> Callable[[Sequence[Wish]], Awaitable[Answers]]:
    async def act(wishes: Sequence[Wish]) -> Answers:
        for attempt in range(1, RACES_MAX + 1):
            try:
                async with database.transaction() as tx:
                    return await manual_store.reserve_by_hand(tx, wishes)
            except ReservationRaced:
                if attempt == RACES_MAX:
                    raise
        raise AssertionError("the last attempt answers or raises")

    return act


def _ending(database: Database, to: Status) -> Callable[[Sequence[str]], Awaitable[Answers]]:
    async def act(asked: Sequence[str]) -> Answers:
        async with database.transaction() as tx:
            return await manual_store.end_reservations(tx, asked, to)

    return act


def _answered(answer: Answer) -> StockAnswer:
    if isinstance(answer, Refusal):
        status, sentence = _SENTENCES[answer]
        raise Problem(status, answer.value, sentence)
    return _shown(answer)


def _shown(stock: Stock) -> StockAnswer:
    return StockAnswer(stock.sku, stock.available, stock.reserved)
