"""Frozen client configurations: one for the producer, two for the consumer (KIP-848 and classic)."""

from __future__ import annotations

import logging
from typing import Any

from dovecote.kafka.chatter import Chatter

Config = dict[str, Any]

# Both sides agree with Java's partitioner: one key, one partition, whoever writes.
PRODUCER: Config = {
    "enable.idempotence": True,
    "acks": "all",
    "partitioner": "murmur2_random",
    "compression.type": "lz4",
    # Long enough for a batch that the relay hands over to leave whole (without it the broker spent a tenth more on an
    # order), and all that a single event waits.
    "linger.ms": 0.5,
    # The broker's absence is waited out for ever: a record never fails because of it, and a later one of its
    # key never overtakes it.
    "message.timeout.ms": 0,
    "queue.buffering.max.messages": 100_000,
    "topic.metadata.propagation.max.ms": 5_000,
    "socket.keepalive.enable": True,
    "reconnect.backoff.max.ms": 1_000,
}
_CONSUMER: Config = {
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "allow.auto.create.topics": False,
    "fetch.wait.max.ms": 200,
    # A partition with so many messages waiting here is left out of the next fetches, and looked at again that much
    # later: with the client's own 100,000 each fetch brings a few, while a batch is in hand. In bulk a twelfth of the
    # fetches, half the broker's CPU for an order, a quarter more orders a second; at 30 orders a second no change.
    "queued.min.messages": 20,
    "fetch.queue.backoff.ms": 10,
    "queued.max.messages.kbytes": 16_384,
    "topic.metadata.refresh.interval.ms": 30_000,
    "reconnect.backoff.max.ms": 1_000,
    "socket.keepalive.enable": True,
}
CONSUMER: Config = {**_CONSUMER, "group.protocol": "consumer"}
CLASSIC: Config = {
    **_CONSUMER,
    "group.protocol": "classic",
    "session.timeout.ms": 6_000,
    "heartbeat.interval.ms": 2_000,
    "partition.assignment.strategy": "cooperative-sticky",
}

# librdkafka's own lines go through logging, so that a broker's restart does not write over a terminal.
LOGGER = logging.getLogger("dovecote.kafka")
LOGGER.addFilter(Chatter())

# What is worth an answer at once although the broker is asked to gather.
GATHERED_BYTES = 65_536


def consumer(protocol: str, *, gather_ms: int = 0) -> Config:
    """The configuration for a group protocol: ``consumer`` or ``classic``.

    With ``gather_ms`` the broker answers a fetch that late, or once it has 64 kB.
    """
    config = CLASSIC if protocol == "classic" else CONSUMER
    if gather_ms:
        return {**config, "fetch.min.bytes": GATHERED_BYTES, "fetch.wait.max.ms": gather_ms}
    return config
