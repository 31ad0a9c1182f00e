"""The saga in bulk: orders placed in batches until every one of them is final, all services at work."""

from __future__ import annotations

import asyncio
import random
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from dovecote.database import Database
from dovecote.events import Cause
from dovecote.ids import new_trace_id
from dovecote.service import Service
from dovecote.sql import Sql
from ecom.contracts.order import OrderLine
from ecom.inventory.store import put_stock
from ecom.order.domain import NewOrder
from ecom.order.saga import place

SKUS = 5_000
STOCK_EACH = 1_000_000
PLACED_TOGETHER = 100
LIMIT_S = 300.0
PAYMENT_TIMEOUT = timedelta(minutes=15)

STATES = Sql("SELECT status, count(*) AS orders FROM orders GROUP BY status")
# Asked ten times a second: it reads one order that waits, not all there are.
OPEN = Sql("SELECT EXISTS (SELECT FROM orders WHERE status = 'PAYMENT_PENDING')")
UNSETTLED = Sql("SELECT count(*) FROM intent WHERE status = 'PENDING'")


@dataclass(frozen=True)
class Result:
    """What a run reached; ``cpu_s`` is the services' own, without the servers' and the provider's."""

    orders: int
    lines: int
    placed_s: float
    final_s: float
    settled_s: float
    cpu_s: float
    rss_mb: int
    states: Mapping[str, int]

    @property
    def rate_per_s(self) -> float:
        """Orders a second from the first placing until all were final."""
        return self.orders / self.final_s

    @property
    def settled_per_s(self) -> float:
        """Orders a second until every capture and mail was done too."""
        return self.orders / self.settled_s


async def run(services: Mapping[str, Service], *, orders: int, lines: int, seed: int) -> Result:
    """Stock the shelves, place the orders in bulk, wait until all are final and then settled.

    Raises TimeoutError where they are not within five minutes.
    """
    draw = random.Random(seed)  # noqa: S311 (repeatable, not secret)
    await _stock(services["inventory"].database)
    database = services["order"].database
    baskets = [_order(draw, lines) for _ in range(orders)]
    started, cpu = time.perf_counter(), time.process_time()
    for first in range(0, orders, PLACED_TOGETHER):
        batch = baskets[first : first + PLACED_TOGETHER]
        async with database.transaction() as tx:
            await place(tx, batch, payment_timeout=PAYMENT_TIMEOUT)
    placed_s = time.perf_counter() - started
    await _until_final(database, started)
    final_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    await _until_settled(services, started)
    states = {row["status"]: row["orders"] for row in await database.fetch(STATES)}
    return Result(
        orders,
        lines,
        placed_s,
        final_s,
        time.perf_counter() - started,
        cpu_s,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        states,
    )


async def _stock(database: Database) -> None:
    shelves = [(f"SKU-{number}", STOCK_EACH) for number in range(SKUS)]
    async with database.transaction() as tx:
        await put_stock(tx, shelves, because=Cause(new_trace_id()))


def _order(draw: random.Random, lines: int) -> NewOrder:
    skus = draw.sample(range(SKUS), lines)
    items = tuple(
        OrderLine(product_id=f"SKU-{sku}", sku=f"SKU-{sku}", quantity=1, unit_price=Decimal("9.99")) for sku in skus
    )
    return NewOrder(draw.randrange(1, 1_000_000), "USD", items, Cause(new_trace_id()), payment_method="card")


async def _until_final(database: Database, started: float) -> None:
    while await database.fetchval(OPEN):
        if time.perf_counter() - started > LIMIT_S:
            raise TimeoutError(f"Not final within {LIMIT_S:.0f} s.")
        await asyncio.sleep(0.1)


async def _until_settled(services: Mapping[str, Service], started: float) -> None:
    while any([await service.database.fetchval(UNSETTLED) for service in services.values()]) or any(
        await _lags(list(services.values()))
    ):
        if time.perf_counter() - started > LIMIT_S:
            raise TimeoutError(f"Not settled within {LIMIT_S:.0f} s.")
        await asyncio.sleep(0.1)


async def _lags(services: Sequence[Service]) -> list[int]:
    return [await service.lag() for service in services]
