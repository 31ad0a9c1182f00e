"""Orders that arrive when they arrive (open loop), from a process of their own that also sees each of them end.

`python -m ecom.bench.arrivals` reads a Plan as JSON on its input and writes what it saw, a Seen, on its output. An
order counts from the moment it was due to be sent, whether or not a connection was free: a shop that is slow is not
asked less often. Its end is looked for in the table of orders, every few milliseconds, one statement for all that are
open: by primary key, on a connection of its own, so that neither the services' loop nor their pool notices.
"""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import time
from collections.abc import Sequence

import msgspec
import uvloop

from dovecote.contracts import Contracts
from dovecote.database import Database, Voice
from dovecote.sql import Sql
from ecom.bench.aside import carried_out
from ecom.bench.load import Ask, Client, Failed
from ecom.contracts import CONTRACTS

LOOK_S = 0.004
GRACE_S = 30.0
_PENDING = "PAYMENT_PENDING"
_CREATED = b"HTTP/1.1 201"
_END = b"\r\n\r\n"

ENDED = Sql("SELECT id, status FROM orders WHERE id = ANY($1::text[]) AND status <> 'PAYMENT_PENDING'")


class Plan(msgspec.Struct, frozen=True):
    """Which orders to place, how many a second on average, and where the table of orders is."""

    host: str
    port: int
    database_url: str
    schema: str
    per_s: float
    seed: int
    requests: Sequence[Ask]


class Order(msgspec.Struct):
    """One order's moments, in seconds of the wall clock; 0 where it did not come to that."""

    id: str
    status: str
    due: float
    sent: float
    answered: float
    ended: float = 0.0  # when the answer came that showed it final


class Seen(msgspec.Struct, frozen=True):
    """What came of it."""

    orders: Sequence[Order]
    failed: int
    first_failure: str
    looks: int
    cpu_s: float  # this process's own


class _Id(msgspec.Struct):
    id: str


_id = msgspec.json.Decoder(_Id)


class Arrivals:
    """Places a plan's orders and watches them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._free: list[Client] = []
        self._open: dict[str, Order] = {}
        self._seen: list[Order] = []
        self._failures: list[str] = []
        self._looks = 0
        # The wall clock may be set while we run; differences are those of the monotonic one.
        self._epoch = time.time() - time.perf_counter()

    async def run(self) -> Seen:
        """Place every order at its moment, and look until all are final or the time of grace is over."""
        plan = self._plan
        draw = random.Random(plan.seed)  # noqa: S311 (repeatable, not secret)
        voice = Voice("bench", Contracts.load(CONTRACTS), {})
        database = await Database.connect(plan.database_url, schema=plan.schema, voice=voice)
        looking = asyncio.create_task(self._look(database))
        wire = [ask.wire(plan.host, plan.port) for ask in plan.requests]
        gc.collect()
        gc.disable()  # no order waits for it, and the run is short
        cpu, due = time.process_time(), time.perf_counter()
        placing = []
        for request in wire:
            due += draw.expovariate(plan.per_s)
            await asyncio.sleep(due - time.perf_counter())
            placing.append(asyncio.create_task(self._place(request, due)))
        await asyncio.gather(*placing)
        until = time.perf_counter() + GRACE_S
        while self._open and time.perf_counter() < until:  # noqa: ASYNC110 (as often as is looked)
            await asyncio.sleep(LOOK_S)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        cpu = time.process_time() - cpu
        await database.close()
        return Seen(self._seen, len(self._failures), next(iter(self._failures), ""), self._looks, cpu)

    async def _place(self, request: bytes, due: float) -> None:
        plan = self._plan
        client = None
        while self._free and (client is None or not client.is_open):
            client = self._free.pop()  # one that had nothing to do for five seconds was hung up
        if client is None or not client.is_open:
            _, client = await asyncio.get_running_loop().create_connection(Client, plan.host, plan.port)
        sent = time.perf_counter()
        try:
            answer = await client.ask(request)
        except Failed as failed:
            self._failures.append(str(failed))
            return
        self._free.append(client)
        if not answer.startswith(_CREATED):
            self._failures.append(repr(answer[:500]))
            return
        order_id = _id.decode(answer[answer.index(_END) + len(_END) :]).id
        moments = (moment + self._epoch for moment in (due, sent, time.perf_counter()))
        order = Order(order_id, _PENDING, *moments)
        self._seen.append(order)
        self._open[order_id] = order

    async def _look(self, database: Database) -> None:
        while True:
            if self._open:
                rows = await database.fetch(ENDED, list(self._open))
                at = time.perf_counter() + self._epoch
                self._looks += 1
                for row in rows:
                    order = self._open.pop(row["id"])
                    order.status, order.ended = row["status"], at
            await asyncio.sleep(LOOK_S)


def in_a_process(plan: Plan) -> Seen:
    """Run a plan in a process of its own and wait for it, on a thread of the caller's."""
    return carried_out("ecom.bench.arrivals", plan, Seen, limit_s=len(plan.requests) / plan.per_s * 2 + 2 * GRACE_S)


def main() -> None:
    """Read the plan, carry it out, write what was seen."""
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(Arrivals(plan).run())))


if __name__ == "__main__":
    main()
