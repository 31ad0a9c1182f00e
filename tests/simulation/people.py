"""Who uses the shop: customers who place, repeat and cancel, foreigners, webhooks, operators. All keep a journal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from dovecote.errors import DovecoteError
from dovecote.events import Cause
from ecom.contracts.order import OrderLine
from ecom.order import saga, store
from ecom.order.domain import Happening, NewOrder
from ecom.order.saga import KeyTaken, Placement, Step
from ecom.payment.claims import Claim, claiming
from ecom.payment.domain import Rules, Terms
from tests.simulation.mix import Wish
from tests.simulation.settings import TIMEOUT

if TYPE_CHECKING:
    from tests.simulation.shop import Shop

T = TypeVar("T")
PATIENCE_SECONDS = 4.0
PRICE = Decimal("2.50")


@dataclass(slots=True)
class Journal:
    """What customers asked and were told."""

    asked: dict[str, Wish] = field(default_factory=dict)  # by idempotency key
    placed: dict[str, str] = field(default_factory=dict)  # key → order id, as answered
    seen: dict[str, list[str]] = field(default_factory=dict)  # order id → statuses, in the order they were seen
    wrong: list[str] = field(default_factory=list)


class NoAnswer(Exception):
    """The process died, froze or failed under the request."""


class Person:
    """An actor outside the shop, who asks one of its processes and waits a while."""

    def __init__(self, shop: Shop, name: str) -> None:
        self.name = name
        self.sleeps = False
        self.is_dead = False
        self.shop = shop

    async def ask(self, short: str, what: str, request: Callable[[Any], Awaitable[T]]) -> T:
        """One request to a live process of a service. Raises NoAnswer."""
        await self.shop.world.turn(self, what)
        nodes = self.shop.living(short)
        if not nodes:
            raise NoAnswer
        node = self.shop.world.chance.choice(nodes)
        task = asyncio.ensure_future(request(node.database))
        self.shop.requests.append(task)
        done, _ = await asyncio.wait([task], timeout=PATIENCE_SECONDS)
        if not done:
            raise NoAnswer
        try:
            return task.result()
        except DovecoteError as error:
            if not error.retriable:
                raise
            raise NoAnswer from error

    async def insist(
        self, short: str, what: str, request: Callable[[Any], Awaitable[T]], tries: int = 1000
    ) -> T | None:
        """Ask until there is an answer."""
        for _ in range(tries):
            try:
                return await self.ask(short, what, request)
            except NoAnswer:
                await asyncio.sleep(1.0)  # of simulated time: nobody waits for it
        return None


class Customer(Person):
    """Places one order, repeats where no answer comes, may cancel, and looks how it stands."""

    def __init__(self, shop: Shop, number: int, wish: Wish) -> None:
        super().__init__(shop, f"customer {number}")
        self._wish = wish
        self._key = f"key-{number}"
        self._cause = Cause(f"{number:032x}")

    async def live(self) -> None:
        journal = self.shop.journal
        journal.asked[self._key] = self._wish
        order = await self.insist("order", "places an order", self._place)
        assert order is not None
        if journal.placed.setdefault(self._key, order.id) != order.id:
            journal.wrong.append(f"{self._key} had two orders")
        self._note(order.id, "PAYMENT_PENDING")
        if self._wish.claims:
            await self.insist("payment", "claims the payment", self._claim(order.id), tries=2)
        for _ in range(self._wish.hesitates):
            await self.shop.world.turn(self, "hesitates")
        if self._wish.cancels:
            await self.insist("order", "cancels", self._cancel(order.id), tries=5)
        for _ in range(3):
            try:
                found = await self.ask("order", "looks", lambda database: store.read(database, [order.id]))
            except NoAnswer:
                continue
            self._note(order.id, found[order.id].status if order.id in found else "GONE")

    def _note(self, order_id: str, status: str) -> None:
        self.shop.journal.seen.setdefault(order_id, []).append(str(status))

    async def _place(self, database: Any) -> Any:
        lines = tuple(
            OrderLine(product_id=f"p-{sku}", sku=sku, quantity=quantity, unit_price=PRICE)
            for sku, quantity in self._wish.lines
        )
        new = NewOrder(self._wish.user_id, "USD", lines, self._cause, None, self._wish.method)
        async with database.transaction() as tx:
            [answer] = await saga.place_once(
                tx, [Placement(new, self._key, b"same")], payment_timeout=TIMEOUT, by_catalogue=False
            )
        if isinstance(answer, KeyTaken):  # the first try still runs
            raise NoAnswer
        return answer

    def _claim(self, order_id: str) -> Callable[[Any], Awaitable[Any]]:
        total = sum(quantity for _, quantity in self._wish.lines) * 250
        claim = Claim(order_id, f"pay-{self._key}", Terms(self._wish.user_id, total, "USD"), self._cause)
        return lambda database: claiming(database, Rules())([claim])

    def _cancel(self, order_id: str) -> Callable[[Any], Awaitable[Any]]:
        async def cancel(database: Any) -> Any:
            async with database.transaction() as tx:
                [move] = await saga.advance(tx, [Step(order_id, Happening.CANCEL_ASKED, self._cause)])
            return move

        return cancel
