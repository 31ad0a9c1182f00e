"""The relay from a standing start: rows that were committed before it began, until Kafka has acknowledged them all."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from dataclasses import dataclass

from dovecote import telemetry
from dovecote.kafka import read_topics
from dovecote.sql import Sql
from ecom.bench.floors import Header, bulk_insert, producer_alone
from ecom.bench.stand import Stand, rss_mb, say, topics

ROWS_EACH = 10
"""Events of an aggregate; they lie interleaved, so that neighbours belong to others."""
TOGETHER = 1000
FLOOR_MAX = 100_000
RATE_MIN = 1_000
GRACE_S = 60.0
LOOK_S = 0.005
WATCH_S = 0.2

BY_STATUS = Sql("SELECT status, count(*) AS records FROM outbox_event_record GROUP BY status")
# As long as those of a relayed message.
HEADERS: list[Header] = [
    ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("content-type", b"application/json"),
    ("aggregate-sequence", b"1"),
]


@dataclass(frozen=True)
class Result:
    """What a drain reached; memory is this process's, before the relay began, at its most, and after."""

    rows: int
    rate_per_s: float
    floor_per_s: float
    bulk_insert_per_s: float
    cpu_s: float
    rss_start_mb: float
    rss_most_mb: float
    rss_end_mb: float
    out_of_order: int
    missing: int


async def run(stand: Stand, *, rows: int) -> Result:
    """The floors, then the rows, then the relay, and at last the topic is read back.

    Raises TimeoutError where the relay falls below a thousand rows a second, RuntimeError where a row is not SENT.
    """
    messages = [stand.message(number) for number in range(min(rows, FLOOR_MAX))]
    inserted = await bulk_insert(stand.address.database_url, stand.address.prefix, messages)
    floor = await _floor(stand, messages)
    del messages
    await _fill(stand, rows)
    gc.collect()
    start_mb = rss_mb()
    elapsed, cpu_s, most_mb = await _drain(stand, rows)
    end_mb = rss_mb()
    states = {row["status"]: row["records"] for row in await stand.database.fetch(BY_STATUS)}
    if states != {"SENT": rows}:
        raise RuntimeError(f"Not every row is SENT: {states}")
    out_of_order, missing = await asyncio.to_thread(_read_back, stand, rows)
    return Result(rows, rows / elapsed, floor, inserted, cpu_s, start_mb, most_mb, end_mb, out_of_order, missing)


async def _floor(stand: Stand, messages: list[tuple[str, bytes]]) -> float:
    """The producer alone, on a topic like the stand's; once before the clock, for the broker compiles what it runs."""
    name = f"{stand.address.prefix}floor"
    async with topics(stand.address, [name]):
        await producer_alone(stand.address.bootstrap, name, messages, headers=HEADERS)
        return await producer_alone(stand.address.bootstrap, name, messages, headers=HEADERS)


async def _fill(stand: Stand, rows: int) -> None:
    each = iter(_interleaved(rows))
    for first in range(0, rows, TOGETHER):
        async with stand.database.transaction() as tx:
            for _ in range(min(TOGETHER, rows - first)):
                say(tx, *next(each))


def _interleaved(rows: int) -> Iterator[tuple[int, int]]:
    """Aggregates and sequences: every aggregate's first event, then every aggregate's second."""
    aggregates = -(-rows // ROWS_EACH)
    for row in range(rows):
        yield row % aggregates, row // aggregates + 1


async def _drain(stand: Stand, rows: int) -> tuple[float, float, float]:
    """Seconds from the relay's start until all are marked, its CPU seconds, and the most memory in between."""
    sent = telemetry.OUTBOX_SENT.labels(stand.name)
    before, most = _value(sent), rss_mb()
    limit_s = GRACE_S + rows / RATE_MIN
    began, cpu, watched = time.perf_counter(), time.process_time(), 0.0
    relay = asyncio.create_task(stand.relay().run())
    try:
        while _value(sent) - before < rows:
            elapsed = time.perf_counter() - began
            if elapsed > limit_s:
                raise TimeoutError(f"{_value(sent) - before:,.0f} of {rows:,} rows are sent after {limit_s:.0f} s.")
            if elapsed > watched:
                most, watched = max(most, rss_mb()), elapsed + WATCH_S
            await asyncio.sleep(LOOK_S)
        return time.perf_counter() - began, time.process_time() - cpu, max(most, rss_mb())
    finally:
        relay.cancel()
        await asyncio.wait([relay])


def _value(counter: object) -> float:
    (sample, *_) = [each for metric in counter.collect() for each in metric.samples]  # type: ignore[attr-defined]
    return float(sample.value)


def _read_back(stand: Stand, rows: int) -> tuple[int, int]:
    """How many messages came before an earlier one of their aggregate, and how many never came."""
    last: dict[bytes | None, int] = {}
    wrong = seen = 0
    for record in read_topics(stand.address.bootstrap, [stand.topic]):
        sequence = next(int(value or 0) for name, value in record.headers if name == "aggregate-sequence")
        before = last.get(record.key, 0)
        if sequence == before + 1:
            last[record.key] = sequence
            seen += 1
        elif sequence > before:
            wrong += 1
    return wrong, rows - seen
