"""One order's way from the client's call to CONFIRMED, at a steady rate of arrivals.

An order's time runs from the moment it was due at the client until a look at the table of orders showed it CONFIRMED,
HTTP, queueing and commit included; looks come every 4 ms, so that a time is up to a look too long. Beside it stands
`recorded`: until the moment that the confirming transaction wrote down as its own, which is before its commit.
The truth lies between the two.

The floor is a sum, for the whole way alone would be another shop: the steps that an order waits for, one after the
other, each measured alone on the same servers. Measured back to back they are warm; `paced` is the same with a pause
of 20 ms before each commit and message, as an order finds them at 50 a second: on a machine that shares its caches
with strangers these are two figures.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from dovecote.kafka import Admin
from dovecote.sql import Sql
from ecom.bench import arrivals, proc, shelves
from ecom.bench.floors import Latency, durable_insert
from ecom.bench.hop import hop
from ecom.bench.load import Ask
from ecom.bench.place import Place

STOCK_EACH = 1_000_000
WARM_ORDERS = 300
FLOOR_S = 2.0
HOPS, PACED_HOPS, PACE_S = 300, 100, 0.020
ROW = b"x" * 467
# What an order waits for, one after the other: commits of order (placing), payment (the intent), the provider's ledger,
# payment (the answer) and order (CONFIRMED); order.created and payment.authorized through Kafka; the client's call and
# payment's call of the provider. Stock is held meanwhile.
COMMITS, MESSAGES, CALLS = 5, 2, 2

CONFIRMED = Sql("SELECT order_id, at FROM order_transition WHERE to_status = 'CONFIRMED'")


@dataclass(frozen=True)
class Floor:
    """The steps alone, one at a time; milliseconds."""

    commit: Latency
    message: Latency
    call_p50_ms: float
    paced_commit: Latency
    paced_message: Latency

    @property
    def p50_ms(self) -> float:
        """The sum of the steps' medians."""
        return COMMITS * self.commit.p50_ms + MESSAGES * self.message.p50_ms + CALLS * self.call_p50_ms

    @property
    def paced_p50_ms(self) -> float:
        """The same with a pause before each commit and message."""
        return COMMITS * self.paced_commit.p50_ms + MESSAGES * self.paced_message.p50_ms + CALLS * self.call_p50_ms


@dataclass(frozen=True)
class Stage:
    """One rate: what became of its orders."""

    per_s: float
    orders: int
    reached_per_s: float  # confirmed, from the first due until the last was seen
    confirmed: Latency
    recorded: Latency
    answered: Latency  # from due until the 201
    late: Latency  # from due until sent: the load's own
    states: Mapping[str, int]
    failed: int
    first_failure: str
    cpu_s: float
    load_cpu_s: float
    rss_mb: int


@dataclass(frozen=True)
class Result:
    """What a run reached."""

    floor: Floor
    stages: Sequence[Stage]
    surroundings: Mapping[str, object]


async def run(here: Place, *, rates: Sequence[float], seconds: float, lines: int, seed: int) -> Result:
    """The floor's steps, then each rate for so long. Raises TimeoutError where orders are not final in the end."""
    from ecom.bench.report import surroundings

    commit, paced_commit = [
        await durable_insert(here.servers.database_url, here.prefix, ROW, clients=1, seconds=FLOOR_S, pause_s=pause_s)
        for pause_s in (0.0, PACE_S)
    ]
    message, paced_message = await _hop(here, HOPS), await _hop(here, PACED_HOPS, pause_s=PACE_S)
    async with here.shop() as running:
        await shelves.fill(running.services, shelves.SKUS, each=STOCK_EACH)
        warm = shelves.placings(WARM_ORDERS, lines=lines, seed=seed, kind="warm")
        await shelves.ask(running.url, warm, clients=4, seconds=seconds, once=True)
        order = running.services["order"]
        await shelves.until_final(order.database)
        call = await shelves.ask(running.url, [Ask("call", "/healthz")], clients=1, seconds=FLOOR_S)
        address = urlsplit(running.url)
        stages = []
        for rate in rates:
            asks = shelves.placings(round(rate * seconds), lines=lines, seed=seed, kind=f"at-{rate:g}")
            plan = arrivals.Plan(
                address.hostname or "",
                address.port or 0,
                here.servers.database_url,
                order.schema,
                rate,
                seed,
                asks,
            )
            cpu = proc.cpu_s(*running.pids)
            seen = await asyncio.to_thread(arrivals.in_a_process, plan)
            cpu = proc.cpu_s(*running.pids) - cpu
            await shelves.until_final(order.database)
            at = {row["order_id"]: row["at"].timestamp() for row in await order.database.fetch(CONFIRMED)}
            stages.append(_stage(rate, seen, at, cpu, proc.peak_mb(*running.pids)))
        about = await surroundings(order.database)
    return Result(Floor(commit, message, call.all.p50_ms, paced_commit, paced_message), stages, about)


async def _hop(here: Place, count: int, *, pause_s: float = 0.0) -> Latency:
    """A message from a producer to a plain consumer, one at a time."""
    admin, topic = Admin(here.servers.bootstrap), f"{here.prefix}hop"
    await admin.ensure_topics([topic], partitions=1, replication=1)
    try:
        return await hop(here.servers.bootstrap, topic, ROW, count=count, pause_s=pause_s)
    finally:
        await admin.delete_topics([topic])


def _stage(rate: float, seen: arrivals.Seen, at: Mapping[str, float], cpu_s: float, rss_mb: int) -> Stage:
    orders = [order for order in seen.orders if order.status == "CONFIRMED"]
    elapsed = max((order.ended for order in orders), default=0.0) - min((order.due for order in orders), default=0.0)
    states: dict[str, int] = {}
    for order in seen.orders:
        states[order.status] = states.get(order.status, 0) + 1
    return Stage(
        rate,
        len(seen.orders) + seen.failed,
        len(orders) / elapsed if elapsed else 0.0,
        Latency.of((order.ended - order.due for order in orders), elapsed_s=elapsed or 1.0),
        Latency.of((at[order.id] - order.due for order in orders), elapsed_s=elapsed or 1.0),
        Latency.of((order.answered - order.due for order in seen.orders), elapsed_s=elapsed or 1.0),
        Latency.of((order.sent - order.due for order in seen.orders), elapsed_s=elapsed or 1.0),
        states,
        seen.failed,
        seen.first_failure,
        cpu_s,
        seen.cpu_s,
        rss_mb,
    )
