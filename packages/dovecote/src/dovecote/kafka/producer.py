"""The relay's producer: batches in, one verdict for each record out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException, Producer

from dovecote.ids import traceparent
from dovecote.kafka import config


class Failure(Enum):
    """What a failed send says, and so what becomes of the record."""

    RECORD = "record"  # this record can never be sent: FAILED at once
    TOPIC = "topic"  # nothing can be written to the topic now: paused, stays PENDING
    BROKER = "broker"  # the broker is away or we were interrupted: waited out, no attempt counted
    FATAL = "fatal"  # the producer is dead: build a new one
    OTHER = "other"  # unclassified: counts an attempt


_RECORD = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE, KafkaError.RECORD_LIST_TOO_LARGE}
_TOPIC = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_EXCEPTION,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}
_BROKER = {
    KafkaError._MSG_TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError._PURGE_QUEUE,
    KafkaError._PURGE_INFLIGHT,
    KafkaError._QUEUE_FULL,
    KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError._DESTROY,
}


def classify(error: KafkaError) -> Failure:
    """Which of the five a Kafka error is."""
    if error.fatal():
        return Failure.FATAL
    code = error.code()
    if code in _RECORD:
        return Failure.RECORD
    if code in _TOPIC:
        return Failure.TOPIC
    if code in _BROKER or error.retriable():
        return Failure.BROKER
    return Failure.OTHER


_CONTENT_TYPE = ("content-type", b"application/json")


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A record to send; ``id`` comes back with its verdict."""

    id: int
    topic: str
    key: str
    value: bytes
    trace_id: str
    sequence: int

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """What goes beside the value."""
        return [
            ("traceparent", traceparent(self.trace_id).encode()),
            _CONTENT_TYPE,
            ("aggregate-sequence", b"%d" % self.sequence),
        ]


@dataclass(slots=True)
class SendResult:
    """What became of a batch: acknowledged ids, and failures with the broker's words."""

    acked: list[int] = field(default_factory=list)
    failed: list[tuple[int, Failure, str]] = field(default_factory=list)


# How soon the verdicts that came are looked at, and how seldom while none comes.
SERVE_SECONDS, SERVE_SECONDS_MAX = 0.002, 0.05
# The client's own lines (a broker that went away) are told by a poll too.
REST_SECONDS = 1.0


class _Batch:
    """Counts the verdicts of one batch, and ends its future at the last of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.result = SendResult()
        self.future: asyncio.Future[SendResult] = loop.create_future()
        self._loop = loop
        self._size = -1  # not known until all of it is handed over

    def delivered(self, record: int, error: KafkaError | None, _message: object) -> None:
        if error is None:
            self.result.acked.append(record)
        else:
            self.result.failed.append((record, classify(error), error.str()))
        if len(self.result.acked) + len(self.result.failed) == self._size:
            self._end()

    def close(self, size: int) -> None:
        """All is handed over: so many verdicts are to come, or are there already."""
        self._size = size
        if len(self.result.acked) + len(self.result.failed) == size:
            self._end()

    def _end(self) -> None:
        # By way of the loop: while the producer is closed, verdicts come on another thread. Twice does no harm.
        self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        if not self.future.done():
            self.future.set_result(self.result)


class KafkaProducer:
    """An idempotent producer (acks=all). Delivery reports are served on the event loop, by a timer.

    On a thread of their own each report took the interpreter's lock from the loop and gave it back: that halved the
    rate of a drain. A report that waits 2 ms delays a mark, never a message.
    """

    def __init__(self, bootstrap: str, *, message_bytes_max: int) -> None:
        self._producer: Any = Producer(
            {**config.PRODUCER, "bootstrap.servers": bootstrap, "message.max.bytes": message_bytes_max},
            logger=config.LOGGER,
        )
        self._timer: asyncio.TimerHandle | None = None
        self._wait = SERVE_SECONDS

    def _serve(self) -> None:
        self._timer = None
        served = self._producer.poll(0)
        under_way = len(self._producer) > 0
        self._wait = SERVE_SECONDS if served else min(2 * self._wait, SERVE_SECONDS_MAX)
        self._serve_in(self._wait if under_way else REST_SECONDS)

    def _serve_in(self, seconds: float) -> None:
        """Look no later than that: who sends all the time must not put it off all the time."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            if self._timer.when() <= loop.time() + seconds:
                return
            self._timer.cancel()
        self._timer = loop.call_later(seconds, self._serve)

    def send(
        self, records: Sequence[Outgoing], follows: Mapping[int, int]
    ) -> tuple[asyncio.Future[SendResult], set[int]]:
        """Hand a batch to librdkafka, in order; the future ends when every record has its verdict.

        Also says which records were refused at once, those that follow a refused one included: ``follows`` names the
        record before another one of the same aggregate.
        """
        batch = _Batch(asyncio.get_running_loop())
        refused: set[int] = set()
        produce, delivered = self._producer.produce, batch.delivered
        for position, record in enumerate(records):
            if refused and follows.get(record.id) in refused:
                refused.add(record.id)
                batch.result.failed.append((record.id, Failure.BROKER, "The record before it was refused."))
                continue
            try:
                produce(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    headers=record.headers,
                    on_delivery=partial(delivered, record.id),
                )
            except KafkaException as error:  # an oversized record is refused here, not in the callback
                refused.add(record.id)
                batch.delivered(record.id, error.args[0], None)
            except BufferError:
                # The queue is full: the rest stays PENDING, in order, and comes with the next scan.
                refused.update(left.id for left in records[position:])
                batch.result.failed.extend(
                    (left.id, Failure.BROKER, "The producer's queue is full.") for left in records[position:]
                )
                break
        batch.close(len(records))
        self._wait = SERVE_SECONDS
        self._serve_in(SERVE_SECONDS)
        return batch.future, refused

    async def close(self, *, seconds: float) -> None:
        """Wait so long for what is under way, then drop it (it stays PENDING)."""
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.to_thread(self._close, seconds)

    def _close(self, seconds: float) -> None:
        if self._producer.flush(seconds) > 0:
            self._producer.purge(in_queue=True, in_flight=True, blocking=True)
            self._producer.flush(1.0)
