"""The saga in bulk: orders placed in batches until every one of them is final, all services at work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dovecote.database import Database
from dovecote.events import Cause
from dovecote.ids import new_trace_id
from dovecote.service import Service
from dovecote.sql import Sql
from ecom.bench import proc
from ecom.bench.baskets import Load
from ecom.bench.floors import bulk_insert, producer_alone
from ecom.bench.place import Place
from ecom.bench.stand import Address, topics
from ecom.inventory.store import put_stock
from ecom.order.saga import place
from ecom.running import Running

STOCK_EACH = 1_000_000
STOCKED_TOGETHER = 5_000
PLACED_TOGETHER = 100
LIMIT_S = 300.0
PAYMENT_TIMEOUT = timedelta(minutes=15)

STATES = Sql("SELECT status, count(*) AS orders FROM orders GROUP BY status")
# Asked ten times a second: each reads one that waits, not all there are, and none that an earlier run has left behind.
# The newest first: beside a transaction that stays open the index keeps every order that ever was in it.
OPEN = Sql("SELECT id FROM orders WHERE status = 'PAYMENT_PENDING' AND deadline >= $1 ORDER BY deadline DESC LIMIT 1")
UNSETTLED = Sql("SELECT EXISTS (SELECT FROM intent WHERE status = 'PENDING' AND due_at >= $1)")


# What a two-line order writes: 30 rows inserted, 22 updated, counted by pg_stat_user_tables; and what it says.
ROWS_OF_AN_ORDER, EVENTS_OF_AN_ORDER = 52, 5
FLOOR_ORDERS = 500
FLOOR_BYTES = 467


@dataclass(frozen=True)
class Result:
    """What a run reached; ``cpu_s`` is the services' own, without the servers' and the provider's."""

    orders: int
    lines: float  # of an order, on average
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


async def run(running: Running, load: Load) -> Result:
    """Stock the shelves, place the orders in bulk, wait until all are final and then settled.

    Raises TimeoutError where they are not within five minutes.
    """
    services = running.services
    await _stock(services["inventory"].database, load.skus)
    database, orders = services["order"].database, load.orders
    since, started, cpu = database.now, time.perf_counter(), proc.cpu_s(*running.pids)
    for first in range(0, len(orders), PLACED_TOGETHER):
        batch = orders[first : first + PLACED_TOGETHER]
        async with database.transaction() as tx:
            await place(tx, batch, payment_timeout=PAYMENT_TIMEOUT)
    placed_s = time.perf_counter() - started
    await _until_final(database, since, started)
    final_s, cpu_s = time.perf_counter() - started, proc.cpu_s(*running.pids) - cpu
    await _until_settled(services, since, started)
    states = {row["status"]: row["orders"] for row in await database.fetch(STATES)}
    return Result(
        len(orders),
        load.lines_each,
        placed_s,
        final_s,
        time.perf_counter() - started,
        cpu_s,
        proc.peak_mb(*running.pids),
        states,
    )


async def writing_alone(place: Place, load: Load) -> float:
    """Orders a second if nothing but their rows and events had to be written, in bulk, one after the other.

    A floor for who has no unsafe saga at hand: PostgreSQL's bulk insert and Kafka's producer alone.
    """
    count = min(FLOOR_ORDERS, len(load.orders))
    value = b"x" * FLOOR_BYTES
    rows = [(f"row-{number}", value) for number in range(count * ROWS_OF_AN_ORDER)]
    rows_per_s = await bulk_insert(place.servers.database_url, place.prefix, rows)
    topic = f"{place.prefix}floor"
    async with topics(Address(place.servers.database_url, place.servers.bootstrap, place.prefix), [topic]):
        events = rows[: count * EVENTS_OF_AN_ORDER]
        await producer_alone(place.servers.bootstrap, topic, events)  # a broker that has just started is no floor
        events_per_s = await producer_alone(place.servers.bootstrap, topic, events)
    return 1 / (ROWS_OF_AN_ORDER / rows_per_s + EVENTS_OF_AN_ORDER / events_per_s)


async def _stock(database: Database, skus: Sequence[str]) -> None:
    shelves = [(sku, STOCK_EACH) for sku in skus]
    for first in range(0, len(shelves), STOCKED_TOGETHER):
        async with database.transaction() as tx:
            await put_stock(tx, shelves[first : first + STOCKED_TOGETHER], because=Cause(new_trace_id()))


async def _until_final(database: Database, since: datetime, started: float) -> None:
    while await database.fetchval(OPEN, since):
        if time.perf_counter() - started > LIMIT_S:
            raise TimeoutError(f"Not final within {LIMIT_S:.0f} s.")
        await asyncio.sleep(0.1)


async def _until_settled(services: Mapping[str, Service], since: datetime, started: float) -> None:
    while any([await service.database.fetchval(UNSETTLED, since) for service in services.values()]) or any(
        await _lags(list(services.values()))
    ):
        if time.perf_counter() - started > LIMIT_S:
            raise TimeoutError(f"Not settled within {LIMIT_S:.0f} s.")
        await asyncio.sleep(0.1)


async def _lags(services: Sequence[Service]) -> list[int]:
    return [await service.lag() for service in services]
