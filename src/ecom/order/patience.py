"""Orders that the price list contradicts wait here before they are refused: the list may be behind, not the customer.

A product and its price come to this service as an event: from the product service's outbox through Kafka into the
table ``price``. An order placed a moment after its product may overtake it. So a refusal is not an answer yet:

1. The order waits, up to ``app.order.price-patience`` (PT1S), and is placed as soon as the list agrees with it. All who
   wait share one look at the list, every 50 ms or as seldom as keeps the looks under a tenth of the time. This is the
   usual case: an event is under way for some milliseconds.
2. Then Kafka is asked whether the service's group has still to handle messages of the product topics (again one
   question for all who ask at once). If it has, or if nobody can say, the order may be right: 503 with Retry-After,
   ``PRICES_BEHIND``.
3. If it has not, everything that Kafka had is in the list: one more try, and its refusal (422) is the answer.

Who waits holds no transaction and no connection, delays nobody (its neighbours of the batch are placed), and leaves
nothing behind: a key is claimed only by an order that is placed, though until then its process lets no other request
use it. Those who wait are bounded in number and lines; beyond
that 503, ``PRICES_BUSY``.

What cannot be known: an event that is still in the outbox of a product service that has stopped, or cannot reach Kafka,
is in no topic. For longer than the patience such a product is unknown here and its orders are refused with 422. And the
other way round: the list says what was true when its last event left. An order with the old price that comes after a
change was committed there and before the event has arrived here is accepted at the old price; the price in the order's
own lines is the one that counts from then on. Only a call to the product service within each placing could do better,
and then no order could be placed while that service is away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum

from prometheus_client import Gauge

from dovecote.database import Database
from dovecote.errors import DovecoteError, UnavailableError
from dovecote.gather import Gather
from ecom.order import price_store
from ecom.order.domain import NewOrder, Order
from ecom.order.prices import ProductGone, ProductPriced, Refused, check
from ecom.order.saga import KeyTaken, Placement

Answer = Order | Refused | KeyTaken

LOOK_SECONDS = 0.05
LOOK_SHARE = 0.1
LAG_SECONDS = 3.0
WAITING_MAX = 1_000
LINES_MAX = 10_000

WAITING = Gauge("order_price_waiting", "Orders that wait for news of their products.")


class Delay(StrEnum):
    """Why an order can be neither placed nor refused now; the value is the problem's code and the metric's label."""

    BEHIND = "PRICES_BEHIND"
    BUSY = "PRICES_BUSY"


class Patience:
    """``await patience(placement, again=…)`` answers an order that was refused once, after having waited for it."""

    def __init__(self, database: Database, patience: timedelta) -> None:
        self._database = database
        self._seconds = patience.total_seconds()
        self._orders = 0
        self._lines = 0
        self._hoping: dict[asyncio.Future[None], NewOrder] = {}
        self._watcher: asyncio.Task[None] | None = None
        self._lag = Gather(self._ask_lag, batch_max=WAITING_MAX)

    async def __call__(
        self, placement: Placement, *, again: Callable[[Placement], Awaitable[Answer]]
    ) -> Answer | Delay:
        """The order, its refusal, or why there is neither; ``again`` tries to place it once more."""
        lines = len(placement.new.items)
        if self._orders >= WAITING_MAX or self._lines + lines > LINES_MAX:
            return Delay.BUSY
        with self._seat(lines):
            loop = asyncio.get_running_loop()
            until = loop.time() + self._seconds
            while loop.time() < until and await self._agreed(placement.new, until):
                answer = await again(placement)
                if not isinstance(answer, Refused):
                    return answer
            return Delay.BEHIND if await self._is_behind() else await again(placement)

    @contextmanager
    def _seat(self, lines: int) -> Iterator[None]:
        self._orders += 1
        self._lines += lines
        WAITING.inc()
        try:
            yield
        finally:
            WAITING.dec()
            self._lines -= lines
            self._orders -= 1

    async def _agreed(self, new: NewOrder, until: float) -> bool:
        """Wait until the list agrees with the order; False where the time is over first."""
        agrees: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._hoping[agrees] = new
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch())
        try:
            async with asyncio.timeout_at(until):
                await agrees
        except TimeoutError:
            return False
        finally:
            del self._hoping[agrees]
        return True

    async def _watch(self) -> None:
        """Look at the list for all who wait, as long as somebody hopes."""
        loop = asyncio.get_running_loop()
        pause = LOOK_SECONDS
        while self._hoping:
            await asyncio.sleep(pause)
            began = loop.time()
            try:
                await self._look()
            except UnavailableError:
                continue  # their own last try will say so
            pause = max(LOOK_SECONDS, (loop.time() - began) / LOOK_SHARE)

    async def _look(self) -> None:
        prices = await price_store.read(
            self._database, {line.product_id for new in self._hoping.values() for line in new.items}
        )
        for agrees, new in list(self._hoping.items()):
            if not agrees.done() and check(new, prices) is None:
                agrees.set_result(None)

    async def _is_behind(self) -> bool:
        """Whether a word about a product may be on its way; a question without an answer is a yes."""
        if self._database.lag is None:
            return False
        try:
            async with asyncio.timeout(LAG_SECONDS):
                return await self._lag(None) > 0
        except (TimeoutError, UnavailableError):
            return True

    async def _ask_lag(self, asked: Sequence[None]) -> Sequence[int | DovecoteError]:
        assert self._database.lag is not None  # noqa: S101 (asked above)
        lag = await self._database.lag((ProductPriced.EVENT, ProductGone.EVENT))
        return [lag] * len(asked)
