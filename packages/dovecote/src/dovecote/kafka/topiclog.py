"""Reading whole topics from offset 0, outside any group: for audits and tests, never for handling."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from dovecote.errors import UnavailableError
from dovecote.kafka import config
from dovecote.kafka.message import headers_of
from dovecote.kafka.patience import patiently

T = TypeVar("T")
ANSWER_SECONDS = 15.0


class LogRecord(NamedTuple):
    """One record of a topic as it stands in Kafka."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp_ms: int


def read_topics(bootstrap: str, topics: Sequence[str], *, seconds: float = 30.0) -> Iterator[LogRecord]:
    """Every record of the topics up to their ends as they were at the call (blocking: run it on a thread).

    Topics that do not exist are skipped. Raises UnavailableError where the broker does not answer, TimeoutError
    where nothing comes for so many seconds.
    """
    reader: Any = Consumer(
        {
            **config.CLASSIC,
            "bootstrap.servers": bootstrap,
            "group.id": "dovecote-reader",
            "fetch.wait.max.ms": 20,
            # The end is told by the broker: with transactions of foreign producers the last offset is no record.
            "enable.partition.eof": True,
        },
        logger=config.LOGGER,
    )
    try:
        known = _patiently(lambda: reader.list_topics(timeout=5)).topics
        left: dict[tuple[str, int], int] = {}
        for topic in topics:
            for partition in known[topic].partitions if topic in known else ():
                asked = TopicPartition(topic, partition)
                low, high = _patiently(partial(reader.get_watermark_offsets, asked, timeout=5))
                if high > low:
                    left[topic, partition] = high
        reader.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for topic, partition in left])
        while left:
            records = reader.consume(1000, 0.05) or reader.consume(1, seconds)
            if not records:
                raise TimeoutError(f"No record came for {seconds} s; {len(left)} partitions are unread.")
            for record in records:
                place = record.topic(), record.partition()
                if record.error() is not None:
                    if record.error().code() == KafkaError._PARTITION_EOF:
                        left.pop(place, None)
                    continue
                end = left.get(place)
                if end is None or record.offset() >= end:
                    continue
                if record.offset() == end - 1:
                    del left[place]
                yield LogRecord(
                    *place,
                    record.offset(),
                    record.key(),
                    record.value(),
                    headers_of(record),
                    record.timestamp()[1],
                )
    finally:
        reader.close()


def _patiently(ask: Callable[[], T]) -> T:
    """The broker's answer; one that has just started knows all its partitions only a moment later."""
    try:
        return patiently(ask, seconds=ANSWER_SECONDS)
    except KafkaException as error:
        raise UnavailableError(f"Kafka does not answer: {error.args[0].str()}") from error
