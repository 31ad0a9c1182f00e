"""Floors: what the servers' own clients do alone, without an outbox, an inbox or a check. A bench runs its own first.

Durability is that of the benches: acks=all and an idempotent producer, synchronous_commit as the server has it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

Header = tuple[str, str | bytes | None]
PRODUCER = {
    "enable.idempotence": True,
    "acks": "all",
    "compression.type": "lz4",
    "partitioner": "murmur2_random",
    "linger.ms": 5,
    "queue.buffering.max.messages": 1_000_000,
}
ROWS_TOGETHER = 1000
LIMIT_S = 60.0

# As wide as an outbox row, and with its one unique index besides the key.
TABLE = """
    CREATE TABLE floor_row (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_id uuid NOT NULL UNIQUE, topic text NOT NULL,
        key text NOT NULL, value bytea NOT NULL, status text NOT NULL
    )
"""
INSERT_MANY = """
    INSERT INTO floor_row (event_id, topic, key, value, status)
    SELECT event_id, $2, key, value, 'PENDING'
      FROM unnest($1::uuid[], $3::text[], $4::bytea[]) AS new(event_id, key, value)
"""
INSERT_ONE = "INSERT INTO floor_row (event_id, topic, key, value, status) VALUES ($1, $2, $3, $4, 'PENDING')"


@dataclass(frozen=True)
class Latency:
    """How many a second, and how long one took."""

    per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float

    @classmethod
    def of(cls, took_s: Iterable[float], *, elapsed_s: float) -> Latency:
        """Percentiles by the nearest rank; zeros where nothing was seen."""
        took = sorted(took_s)
        if not took:
            return cls(0.0, 0.0, 0.0, 0.0)
        p50, p95, p99 = (1000 * took[min(len(took) - 1, len(took) * part // 100)] for part in (50, 95, 99))
        return cls(len(took) / elapsed_s, p50, p95, p99)


async def producer_alone(
    bootstrap: str, topic: str, messages: Sequence[tuple[str, bytes]], *, headers: Sequence[Header] = ()
) -> float:
    """Messages a second, from the first call until the last is acknowledged. The topic must exist.

    Raises RuntimeError where one is refused, or not all are acknowledged in time.
    """
    return await asyncio.to_thread(_produce, bootstrap, topic, messages, list(headers))


def _produce(bootstrap: str, topic: str, messages: Sequence[tuple[str, bytes]], headers: list[Header]) -> float:
    producer: Any = Producer({**PRODUCER, "bootstrap.servers": bootstrap})
    failed: list[Any] = []

    def on_delivery(error: Any, _message: object) -> None:
        if error is not None:
            failed.append(error)

    began = time.perf_counter()
    for number, (key, value) in enumerate(messages):
        producer.produce(topic, value, key=key, headers=headers, on_delivery=on_delivery)
        if number % ROWS_TOGETHER == 0:
            producer.poll(0)
    left = producer.flush(LIMIT_S)
    elapsed = time.perf_counter() - began
    if failed or left:
        raise RuntimeError(f"{len(failed)} messages failed and {left} were not acknowledged: {failed[:1]}")
    return len(messages) / elapsed


@asynccontextmanager
async def producing(bootstrap: str, topic: str) -> AsyncIterator[Callable[[str, bytes], None]]:
    """A producer that sends each message at once: call it with key and value. Nothing but flush waits for the broker.

    Raises RuntimeError at the end where not all are acknowledged in time.
    """
    producer: Any = Producer({**PRODUCER, "linger.ms": 0, "bootstrap.servers": bootstrap})
    yield lambda key, value: producer.produce(topic, value, key=key)
    if left := await asyncio.to_thread(producer.flush, LIMIT_S):
        raise RuntimeError(f"{left} messages were not acknowledged.")


async def bulk_insert(url: str, prefix: str, messages: Sequence[tuple[str, bytes]]) -> float:
    """Rows a second into a table like an outbox, a thousand to a statement and each statement durable."""
    batches = [
        (
            [uuid4() for _ in messages[first : first + ROWS_TOGETHER]],
            [key for key, _ in messages[first : first + ROWS_TOGETHER]],
            [value for _, value in messages[first : first + ROWS_TOGETHER]],
        )
        for first in range(0, len(messages), ROWS_TOGETHER)
    ]
    async with _Table(url, prefix) as connect:
        connection = await connect()
        began = time.perf_counter()
        for event_ids, keys, values in batches:
            await connection.execute(INSERT_MANY, event_ids, "floor", keys, values)
        return len(messages) / (time.perf_counter() - began)


async def durable_insert(
    url: str, prefix: str, value: bytes, *, clients: int = 8, seconds: float = 3.0, pause_s: float = 0.0
) -> Latency:
    """Single-row statements, each durable before the next, by so many connections at once, with a pause before each."""
    took: list[float] = []
    async with _Table(url, prefix) as connect:
        connections = [await connect() for _ in range(clients)]
        began = time.perf_counter()

        async def client(connection: Any) -> None:
            while time.perf_counter() < began + seconds:
                if pause_s:
                    await asyncio.sleep(pause_s)
                asked = time.perf_counter()
                event_id = uuid4()
                await connection.execute(INSERT_ONE, event_id, "floor", event_id.hex, value)
                took.append(time.perf_counter() - asked)

        await asyncio.gather(*map(client, connections))
        return Latency.of(took, elapsed_s=time.perf_counter() - began)


async def bare_consumer(bootstrap: str, topic: str, count: int) -> float:
    """Messages a second polled from a topic's beginning and decoded as JSON, no group, until there were so many.

    The clock starts with the first message. Raises RuntimeError where so many do not come.
    """
    return await asyncio.to_thread(_consume, bootstrap, topic, count)


def _consume(bootstrap: str, topic: str, count: int) -> float:
    consumer: Any = Consumer({"bootstrap.servers": bootstrap, "group.id": "floor", "enable.auto.commit": False})
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
        seen, began, decode = 0, 0.0, msgspec.json.decode
        until = time.perf_counter() + LIMIT_S
        while seen < count and time.perf_counter() < until:
            records = [r for r in consumer.consume(ROWS_TOGETHER, 0.1) if r.error() is None]
            began = began or (time.perf_counter() if records else 0.0)
            for record in records:
                decode(record.value())
            seen += len(records)
        if seen < count:
            raise RuntimeError(f"{seen} of {count} messages came within {LIMIT_S:.0f} s.")
        return seen / (time.perf_counter() - began)
    finally:
        consumer.close()


class _Table:
    """A schema of the floor's own with its table, dropped at the end; gives a way to connect to it."""

    def __init__(self, url: str, prefix: str) -> None:
        self._url = url
        self._schema = f"{prefix}floor"
        self._open: list[Any] = []

    async def __aenter__(self) -> Any:
        connection = await self._connect()
        await connection.execute(f'CREATE SCHEMA "{self._schema}"')
        await connection.execute(TABLE)
        return self._connect

    async def _connect(self) -> Any:
        connection = await asyncpg.connect(self._url, server_settings={"search_path": self._schema})
        self._open.append(connection)
        return connection

    async def __aexit__(self, *_: object) -> None:
        first, *others = self._open
        for connection in others:
            await connection.close()
        await first.execute(f'DROP SCHEMA "{self._schema}" CASCADE')
        await first.close()
