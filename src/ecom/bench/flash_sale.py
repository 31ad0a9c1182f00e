"""A flash sale: many clients want one SKU at once, by hand through the reservation call, and then as orders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from dovecote.database import Database
from dovecote.sql import Sql
from ecom.bench import shelves
from ecom.bench.floors import Latency, durable_insert
from ecom.bench.load import Ask, Seen
from ecom.bench.place import Place

BY_HAND, BY_ORDER, WARM = "SALE-BY-HAND", "SALE-BY-ORDER", "SALE-WARM"
# What was on the market besides: more buyers than units, so that the last ones hear that there is no more.
WANTED = 1.2
WARM_CALLS = 400
LIMIT_S = 120.0
FLOOR_S = 3.0
FLOOR_CLIENTS = 32
ROW = b"x" * 467

HELD = Sql("""
    SELECT coalesce(sum(quantity) FILTER (WHERE status IN ('RESERVED', 'CONFIRMED')), 0)::bigint AS sold,
           (SELECT available FROM stock WHERE stock.sku = $1) AS available,
           (SELECT reserved FROM stock WHERE stock.sku = $1) AS reserved
      FROM reservation
     WHERE reservation.sku = $1
""")


@dataclass(frozen=True)
class Sale:
    """One sale: what the clients saw, and what the database says was sold."""

    seen: Seen
    sold: int
    available: int
    reserved: int


@dataclass(frozen=True)
class Result:
    """What a run reached; ``states`` are those of the sale's orders."""

    units: int
    floor: Latency
    nothing: Seen
    by_hand: Sale
    by_order: Sale
    final_s: float  # from the last answer until every order was final
    states: Mapping[str, int]
    surroundings: Mapping[str, object]

    @property
    def oversold(self) -> int:
        """Units sold that there were not, in both sales."""
        return sum(max(0, sale.sold - self.units) for sale in (self.by_hand, self.by_order))


async def run(here: Place, *, units: int, clients: int, seed: int) -> Result:
    """Sell so many units twice, to a fifth more buyers than there are units.

    Raises TimeoutError where orders are not final within five minutes.
    """
    from ecom.bench.report import surroundings

    floor = await durable_insert(here.servers.database_url, here.prefix, ROW, clients=FLOOR_CLIENTS, seconds=FLOOR_S)
    async with here.shop() as running:
        order, inventory, url = running.services["order"].database, running.services["inventory"].database, running.url
        await shelves.fill(running.services, [BY_HAND, BY_ORDER], each=units)
        await shelves.fill(running.services, [WARM], each=WARM_CALLS * 2)
        wanted = round(units * WANTED)
        await shelves.ask(url, _wishes(WARM_CALLS, WARM), clients=clients, seconds=LIMIT_S, once=True)
        warm = shelves.placings(WARM_CALLS, lines=1, seed=seed, skus=[WARM], kind="warm")
        await shelves.ask(url, warm, clients=clients, seconds=LIMIT_S, once=True)
        await shelves.until_final(order)
        before = Counter(await shelves.states(order))
        nothing = await shelves.ask(url, [Ask("nothing", "/healthz")], clients=clients, seconds=FLOOR_S)
        seen = await shelves.ask(url, _wishes(wanted, BY_HAND), clients=clients, seconds=LIMIT_S, once=True)
        by_hand = Sale(seen, *await _held(inventory, BY_HAND))
        orders = shelves.placings(wanted, lines=1, seed=seed, skus=[BY_ORDER])
        seen = await shelves.ask(url, orders, clients=clients, seconds=LIMIT_S, once=True)
        final_s = await shelves.until_final(order)
        by_order = Sale(seen, *await _held(inventory, BY_ORDER))
        states, about = Counter(await shelves.states(order)), await surroundings(order)
    return Result(units, floor, nothing, by_hand, by_order, final_s, states - before, about)


def _wishes(count: int, sku: str) -> list[Ask]:
    """So many calls that want one unit each, under ids of their own."""
    body = '{{"reservationId":"{}-{}","sku":"{}","quantity":1,"ttlMinutes":30}}'
    return [Ask("reserve", "/api/inventory/reserve", "POST", body.format(sku, number, sku)) for number in range(count)]


async def _held(inventory: Database, sku: str) -> tuple[int, int, int]:
    """Units held or sold, still available, and reserved, as the tables say."""
    row = await inventory.fetchrow(HELD, sku)
    assert row is not None  # noqa: S101 (an aggregate has one row)
    return row["sold"], row["available"], row["reserved"]
