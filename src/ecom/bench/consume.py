"""A consumer's full work: orders that lie in Kafka are checked, admitted, written down and answered, each once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from dovecote import telemetry
from dovecote.contracts import Contracts
from dovecote.database import Transaction
from dovecote.events import Aggregate, Delivery
from dovecote.handlers import Handlers
from dovecote.kafka import Admin
from dovecote.migrate import drop, migrate
from dovecote.service import Service
from dovecote.sql import Sql
from ecom.bench.floors import bare_consumer, bulk_insert, producer_alone
from ecom.bench.stand import MIGRATIONS, Address, Stand, blueprint, rss_mb, topics
from ecom.contracts import CONTRACTS
from ecom.contracts.inventory import InventoryReserved
from ecom.contracts.order import OrderCreated

RATE_MIN = 500
GRACE_S = 60.0
LOOK_S = 0.005

HEAR = Sql("""
    INSERT INTO heard (order_id, user_id)
    SELECT order_id, user_id FROM unnest($1::text[], $2::bigint[]) AS new(order_id, user_id)
""")
HEARD = Sql("SELECT count(*) FROM heard")
ADMITTED = Sql("SELECT count(*) FROM consumed_event_record WHERE outcome = 'PROCESSED'")
ANSWERED = Sql("SELECT count(*) FROM outbox_event_record")
SENT = Sql("SELECT count(*) FROM outbox_event_record WHERE status = 'SENT'")

handlers = Handlers()


@handlers.on(OrderCreated)
async def hear(tx: Transaction, orders: Sequence[Delivery[OrderCreated]]) -> None:
    """One row and one event for each order."""
    await tx.execute(HEAR, [one.event.order_id for one in orders], [one.event.user_id for one in orders])
    for one in orders:
        reserved = InventoryReserved(order_id=one.event.order_id, emitted_at=tx.now)
        tx.publish(reserved, of=Aggregate("reservation", one.event.order_id, 1), because=one)


@dataclass(frozen=True)
class Result:
    """What a service reached: messages a second until the last is handled, and until its answer is in Kafka."""

    messages: int
    rate_per_s: float
    sent_per_s: float
    bare_consumer_per_s: float
    bulk_insert_per_s: float
    cpu_s: float
    rss_mb: float


async def run(stand: Stand, *, messages: int) -> Result:
    """The messages first, then the floors, then a service that hears them.

    Raises TimeoutError where fewer than five hundred a second are handled, RuntimeError where one had no effect.
    """
    address = stand.address
    said = [stand.message(number) for number in range(messages)]
    await producer_alone(address.bootstrap, stand.topic, said)
    inserted = await bulk_insert(address.database_url, address.prefix, said)
    del said
    bare = await bare_consumer(address.bootstrap, stand.topic, messages)
    schema = f"{address.prefix}hearer"
    await asyncio.to_thread(migrate, address.database_url, schema=schema, folders=[MIGRATIONS])
    hearer = _service(address)
    try:
        async with topics(address, hearer.said):
            try:
                await hearer.start()
                handled_s, sent_s, cpu_s = await _until_answered(hearer, messages)
                await _check(hearer, messages)
            finally:
                await hearer.stop()
    finally:
        await asyncio.to_thread(drop, address.database_url, schema=schema)
        await Admin(address.bootstrap).delete_groups([hearer.group])
    return Result(messages, messages / handled_s, messages / sent_s, bare, inserted, cpu_s, rss_mb())


def _service(address: Address) -> Service:
    return Service(
        blueprint(handlers),
        database_url=address.database_url,
        bootstrap=address.bootstrap,
        contracts=Contracts.load(CONTRACTS),
        prefix=address.prefix,
    )


async def _until_answered(hearer: Service, messages: int) -> tuple[float, float, float]:
    """Seconds from the first batch's end until all are handled, and until all answers are sent; CPU for the former.

    The first batch stands for its time: a group takes seconds to form, and nobody waits for that twice.
    """
    handled = telemetry.HANDLED.labels(hearer.group, OrderCreated.EVENT, "handled")
    sent = telemetry.OUTBOX_SENT.labels(hearer.group)
    limit_s = GRACE_S + messages / RATE_MIN
    asked = time.perf_counter()
    first, began, cpu, handled_s, cpu_s = 0.0, 0.0, 0.0, 0.0, 0.0
    while _value(sent) < messages:
        if time.perf_counter() - asked > limit_s:
            raise TimeoutError(f"{_value(handled):,.0f} of {messages:,} messages are handled after {limit_s:.0f} s.")
        now = _value(handled)
        if now and not began:
            first, began, cpu = now, time.perf_counter(), time.process_time()
        if now >= messages and not handled_s:
            handled_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
        await asyncio.sleep(LOOK_S)
    share = messages / max(1.0, messages - first)
    return share * handled_s, share * (time.perf_counter() - began), share * cpu_s


async def _check(hearer: Service, messages: int) -> None:
    database = hearer.database
    counts = [int(await database.fetchval(each)) for each in (HEARD, ADMITTED, ANSWERED, SENT)]
    if counts != [messages] * 4:
        raise RuntimeError(f"Of {messages:,} messages there are heard, admitted, answered, sent: {counts}")


def _value(counter: object) -> float:
    (sample, *_) = [each for metric in counter.collect() for each in metric.samples]  # type: ignore[attr-defined]
    return float(sample.value)
