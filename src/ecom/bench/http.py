"""Orders placed over HTTP, each answered after its durable commit, and then read again by their ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dovecote.sql import Sql
from ecom.bench import proc, shelves
from ecom.bench.floors import Latency, durable_insert
from ecom.bench.load import Ask, Seen
from ecom.bench.place import Place

STOCK_EACH = 1_000_000
# Groups are joined, connections opened and statements prepared before the clock runs.
WARM_ORDERS = 400
READ_MAX = 20_000
FLOOR_S = 3.0
ROW = b"x" * 467

IDS = Sql("SELECT id FROM orders ORDER BY id DESC LIMIT $1")
FINAL = Sql("SELECT count(*) FROM orders WHERE status <> 'PAYMENT_PENDING'")


@dataclass(frozen=True)
class Result:
    """What a run reached."""

    floor: Latency  # single-row durable inserts from as many connections as there are clients
    nothing: Seen  # an answer of the same server that does nothing
    placed: Seen
    final_meanwhile: int  # orders whose saga was over when the last was placed
    drain_s: float  # from then until the last was final
    cpu_s: float  # the services', all of them, while orders were placed
    read: Seen
    states: Mapping[str, int]
    rss_mb: int
    surroundings: Mapping[str, object]


async def run(here: Place, *, orders: int, lines: int, clients: int, seconds: float, seed: int, alone: bool) -> Result:
    """Floor, placing, the sagas' end, reading. ``alone``: only the order service runs, so that no saga follows.

    Raises TimeoutError where orders are not final within five minutes.
    """
    from ecom.bench.report import surroundings

    floor = await durable_insert(here.servers.database_url, here.prefix, ROW, clients=clients, seconds=FLOOR_S)
    async with here.shop(*((("order",),) if alone else ())) as running:
        database, url = running.services["order"].database, running.url
        await shelves.fill(running.services, shelves.SKUS, each=STOCK_EACH)
        warm = shelves.placings(WARM_ORDERS, lines=lines, seed=seed, kind="warm")
        await shelves.ask(url, warm, clients=clients, seconds=seconds, once=True)
        if not alone:
            await shelves.until_final(database)
        nothing = await shelves.ask(url, [Ask("nothing", "/healthz")], clients=clients, seconds=FLOOR_S)
        before, cpu = await database.fetchval(FINAL), proc.cpu_s(*running.pids)
        asks = shelves.placings(orders, lines=lines, seed=seed)
        placed = await shelves.ask(url, asks, clients=clients, seconds=seconds, once=True)
        cpu_s, final = proc.cpu_s(*running.pids) - cpu, await database.fetchval(FINAL) - before
        drain_s = 0.0 if alone else await shelves.until_final(database)
        reads = [Ask("read", f"/api/orders/{row['id']}") for row in await database.fetch(IDS, READ_MAX)]
        read = await shelves.ask(url, reads, clients=clients, seconds=min(seconds, FLOOR_S * 2))
        rss_mb = proc.peak_mb(*running.pids)
        about = await surroundings(database)
        states = await shelves.states(database)
    return Result(floor, nothing, placed, final, drain_s, cpu_s, read, states, rss_mb, about)
