"""A plain consumer in a process of its own: says when each message came, on the clock that all processes share.

`python -m ecom.bench.receiver BOOTSTRAP TOPIC` prints `ready` once it reads from the topic's end; a line on its input
ends it, and what it saw goes to its output.
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
from confluent_kafka import Consumer, TopicPartition

from ecom.bench.aside import Aside, aside

TOGETHER = 1000


def receive(bootstrap: str, topic: str) -> None:
    """Read until told to stop, and write nanoseconds by key."""
    consumer: Any = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "floor-receiver", "enable.auto.commit": False}
    )
    partitions = [
        TopicPartition(topic, number) for number in consumer.list_topics(topic, timeout=10).topics[topic].partitions
    ]
    for partition in partitions:
        partition.offset = consumer.get_watermark_offsets(partition, timeout=10)[1]
    consumer.assign(partitions)
    stopping = threading.Event()
    threading.Thread(target=_wait_for_a_line, args=(stopping,), daemon=True).start()
    came: dict[str, int] = {}
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not stopping.is_set():
        first = consumer.poll(0.1)  # consume() would wait for the whole number
        if first is None:
            continue
        moment = time.monotonic_ns()
        for record in (first, *consumer.consume(TOGETHER, 0)):
            if record.error() is None:
                came[record.key().decode()] = moment
    consumer.close()
    sys.stdout.buffer.write(msgspec.json.encode(came))


def _wait_for_a_line(stopping: threading.Event) -> None:
    sys.stdin.readline()
    stopping.set()


def receiver(bootstrap: str, topic: str) -> AbstractAsyncContextManager[Aside]:
    """A receiver that reads, ended with the block; what it says when it is stopped is for `seen`."""
    return aside("ecom.bench.receiver", bootstrap, topic, word="ready")


def seen(said: bytes) -> dict[str, int]:
    """When each key came: nanoseconds of the monotonic clock."""
    return msgspec.json.decode(said, type=dict[str, int])


if __name__ == "__main__":
    receive(*sys.argv[1:])
