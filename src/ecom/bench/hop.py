"""A message's way through Kafka alone: from a producer that does not linger to a consumer that waits for it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

from ecom.bench.floors import PRODUCER, Latency

WARM = 20
LIMIT_S = 30.0


async def hop(bootstrap: str, topic: str, value: bytes, *, count: int, pause_s: float = 0.0) -> Latency:
    """So many messages, one at a time, acknowledged by all, with a pause before each; the topic has one partition.

    Raises RuntimeError where one does not come.
    """
    return await asyncio.to_thread(_hops, bootstrap, topic, value, count, pause_s)


def _hops(bootstrap: str, topic: str, value: bytes, count: int, pause_s: float) -> Latency:
    producer: Any = Producer({**PRODUCER, "linger.ms": 0, "bootstrap.servers": bootstrap})
    consumer: Any = Consumer({"bootstrap.servers": bootstrap, "group.id": "floor", "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(topic, 0, OFFSET_END)])
        consumer.poll(1.0)  # the end is found before anything is sent
        took = [_one(producer, consumer, topic, value, pause_s) for _ in range(WARM + count)][WARM:]
        return Latency.of(took, elapsed_s=sum(took))
    finally:
        producer.flush(LIMIT_S)
        consumer.close()


def _one(producer: Any, consumer: Any, topic: str, value: bytes, pause_s: float) -> float:
    consumer.poll(pause_s)  # nothing is there yet: the pause is one of a consumer that waits
    began = time.perf_counter()
    producer.produce(topic, value)
    producer.poll(0)
    while time.perf_counter() < began + LIMIT_S:
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            return time.perf_counter() - began
    raise RuntimeError(f"A message to {topic} did not come within {LIMIT_S:.0f} s.")
