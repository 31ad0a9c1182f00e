"""The customers: they place orders over HTTP, as many at a time as the shop bears, and some change their minds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from itertools import islice
from typing import Any

import aiohttp
import msgspec

from dovecote import DovecoteError, ids
from ecom.demo.diary import KEY, TRACE, Diary
from ecom.demo.mix import CURRENCY, Fate, Plan

ROUND_TRIP_SECONDS_MAX = 30.0
# A shop that is starting again after a crash refuses connections or answers 503: customers knock again.
KNOCK_AGAIN_SECONDS = 0.25
AWAY = frozenset({HTTPStatus.SERVICE_UNAVAILABLE})
# What a customer is told who asks again for an order while his first request, whose answer was lost, still runs.
RUNNING = HTTPStatus.CONFLICT
# What a customer with an old page would pay more for each unit, and how long he insists where the shop cannot say
# whether his price or its list is the older one (503, as long as its broker is away) before he loads the page again.
OLDER_BY = Decimal("0.50")
INSIST_SECONDS = 10.0
LOOK_AGAIN_SECONDS = 0.05

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Body(msgspec.Struct, rename="camel", omit_defaults=True):
    """POST /api/orders as a client in the field sends it: prices are JSON numbers."""

    user_id: int
    currency: str
    items: list[dict[str, Any]]
    payment_method: str


class Answer(msgspec.Struct, rename="camel"):
    """What a customer reads of an order."""

    id: str
    status: str


class Hit(msgspec.Struct):
    """A product as a customer finds it."""

    name: str
    price: Decimal


class Found(msgspec.Struct):
    """What a search answers."""

    content: list[Hit]


class ShopClosed(DovecoteError):
    """The shop did not answer for so long that the customer went away, or it answered nonsense."""


@dataclass(slots=True)
class Customers:
    """Places a run's orders. ``run`` makes the idempotency keys of this run its own."""

    url: str
    run: str
    concurrency: int
    patience_seconds: float
    diary: Diary | None = None
    placed: int = 0
    refused: int = 0

    async def find(self, text: str) -> Hit | None:
        """The first product that a search shows."""
        async with self._session() as session:
            status, answer = await self._call(session, "GET", "/api/search/products", params={"q": text, "size": "1"})
        if status != HTTPStatus.OK:
            raise ShopClosed(f"Searching for {text!r} was answered with {status}: {answer[:300]!r}")
        return next(iter(msgspec.json.decode(answer, type=Found).content), None)

    async def place_all(
        self, plans: Sequence[Plan], *, may_enter: Callable[[], asyncio.Event], on_placed: Callable[[], None]
    ) -> None:
        """Place every order; ``may_enter`` is the door that closes while too many orders are open.

        The first order is alone until it has its answer: a shop that opens has groups to join and caches to fill.
        Raises ShopClosed where the shop stays away longer than a customer waits.
        """
        try:
            await self._place_all(plans, may_enter, on_placed)
        except BaseExceptionGroup as group:
            closed: BaseException | None = group.subgroup(ShopClosed)
            while isinstance(closed, BaseExceptionGroup):
                closed = closed.exceptions[0]
            if closed is not None:
                raise closed from None
            raise

    async def _place_all(
        self, plans: Sequence[Plan], may_enter: Callable[[], asyncio.Event], on_placed: Callable[[], None]
    ) -> None:
        queue = iter(enumerate(plans))
        async with self._session() as session, asyncio.TaskGroup() as group:

            async def place(index: int, plan: Plan) -> str:
                order_id = await self._place(session, index, plan)
                self.placed += 1
                on_placed()
                if plan.fate is Fate.CANCELLED_BEFORE:
                    await self._cancel(session, order_id)
                elif plan.fate is Fate.CANCELLED_AFTER:
                    group.create_task(self._regret(session, order_id))
                return order_id

            async def customer() -> None:
                for index, plan in queue:
                    await may_enter().wait()
                    await place(index, plan)

            for index, plan in islice(queue, 1):
                await self._answered(session, await place(index, plan))
            for _ in range(min(self.concurrency, len(plans))):
                group.create_task(customer())

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=ROUND_TRIP_SECONDS_MAX),
            headers={"Content-Type": "application/json"},
        )

    async def _place(self, session: aiohttp.ClientSession, index: int, plan: Plan) -> str:
        if plan.fate is Fate.OLD_PRICE:
            await self._insist(session, index, plan)
        status, answer = await self._order(session, str(index), plan)
        if status != HTTPStatus.CREATED:
            raise ShopClosed(f"The shop refused an order with {status}: {answer[:300]!r}")
        return msgspec.json.decode(answer, type=Answer).id

    async def _insist(self, session: aiohttp.ClientSession, index: int, plan: Plan) -> None:
        """Try an old price, which must not be taken."""
        try:
            async with asyncio.timeout(INSIST_SECONDS):
                status, answer = await self._order(session, f"{index}-old", plan, dearer_by=OLDER_BY)
        except TimeoutError:
            return
        if status != HTTPStatus.UNPROCESSABLE_ENTITY:
            raise ShopClosed(f"The shop answered an old price with {status}: {answer[:300]!r}")
        self.refused += 1

    async def _order(
        self, session: aiohttp.ClientSession, key: str, plan: Plan, *, dearer_by: Decimal = Decimal(0)
    ) -> tuple[int, bytes]:
        body = Body(
            user_id=plan.basket.user_id,
            currency=CURRENCY,
            items=[
                {
                    "productId": line.product_id,
                    "sku": line.sku,
                    "quantity": line.quantity,
                    "unitPrice": line.unit_price + dearer_by,
                }
                for line in plan.basket.lines
            ],
            payment_method=plan.payment_method,
        )
        # The trace is the order's: by it the audit finds one whose answer was lost.
        headers = {KEY: f"demo-{self.run}-{key}", TRACE: ids.traceparent(ids.new_trace_id())}
        again = AWAY | {RUNNING}
        return await self._call(session, "POST", "/api/orders", again=again, data=_encode(body), headers=headers)

    async def _answered(self, session: aiohttp.ClientSession, order_id: str) -> None:
        """Wait until an order is no longer pending."""
        async for status in self._watch(session, order_id):
            if status != "PAYMENT_PENDING":
                return

    async def _regret(self, session: aiohttp.ClientSession, order_id: str) -> None:
        """Wait for CONFIRMED and cancel; an order that ends otherwise leaves nothing to cancel."""
        async for status in self._watch(session, order_id):
            if status == "CONFIRMED":
                await self._cancel(session, order_id)
            if status != "PAYMENT_PENDING":
                return

    async def _watch(self, session: aiohttp.ClientSession, order_id: str) -> AsyncIterator[str]:
        while True:
            status, answer = await self._call(session, "GET", f"/api/orders/{order_id}")
            if status != HTTPStatus.OK:
                raise ShopClosed(f"The shop does not know order {order_id}: {status}")
            yield msgspec.json.decode(answer, type=Answer).status
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def _cancel(self, session: aiohttp.ClientSession, order_id: str) -> None:
        """Cancel; 409 says that the order had ended otherwise before."""
        status, answer = await self._call(session, "POST", f"/api/orders/{order_id}/cancel")
        if status not in (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.CONFLICT):
            raise ShopClosed(f"Cancelling {order_id} was answered with {status}: {answer[:300]!r}")

    async def _call(
        self, session: aiohttp.ClientSession, method: str, path: str, *, again: frozenset[int] = AWAY, **request: Any
    ) -> tuple[int, bytes]:
        """One call, repeated while the shop is away; placing carries a key, the rest is harmless twice."""
        try:
            async with asyncio.timeout(self.patience_seconds):
                while True:
                    call = self.diary.asked(method, path, **request) if self.diary else 0
                    try:
                        async with session.request(method, f"{self.url}{path}", **request) as response:
                            answer = await response.read()
                            if self.diary:
                                self.diary.answered(call, response.status, answer)
                            if response.status not in again:
                                return response.status, answer
                    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, ConnectionError):
                        pass
                    await asyncio.sleep(KNOCK_AGAIN_SECONDS)
        except TimeoutError as error:
            raise ShopClosed(f"The shop at {self.url} does not answer {method} {path}.") from error
