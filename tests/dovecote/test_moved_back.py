"""Somebody moves a group back on a real broker: it does not lag for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from dovecote.kafka import KafkaConsumer, Message, config
from dovecote.kafka import consumer as module

PARTITIONS = 3
MESSAGES = 5
Place = tuple[str, int]


@pytest.fixture(params=["consumer", "classic"])
def protocol(request: pytest.FixtureRequest) -> str:
    """Both group protocols."""
    return str(request.param)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions that stand are looked at every half second."""
    monkeypatch.setattr(module, "REPEAT_SECONDS", 0.5)


def written(bootstrap: str, topic: str) -> None:
    """Five messages on each of the topic's partitions."""
    producer = Producer({"bootstrap.servers": bootstrap})
    for number in range(MESSAGES):
        for partition in range(PARTITIONS):
            producer.produce(topic, str(number), partition=partition)
    assert producer.flush(10) == 0


@pytest.fixture
def intruder(bootstrap: str, prefix: str, protocol: str) -> Iterator[Consumer]:
    """A member of the group that commits what is not its own."""
    settings = {**config.consumer(protocol), "bootstrap.servers": bootstrap, "group.id": prefix + "g"}
    consumer = Consumer(settings)
    yield consumer
    consumer.close()


def ours(bootstrap: str, prefix: str, topic: str, protocol: str) -> KafkaConsumer:
    """A member as the library makes it."""
    return KafkaConsumer(bootstrap, group=prefix + "g", topics=[topic], protocol=protocol, on_error=lambda _: None)


async def handle(consumer: KafkaConsumer, number: int) -> list[Message]:
    """Poll and handle until so many messages have come."""
    messages: list[Message] = []
    async with asyncio.timeout(60):
        while len(messages) < number:
            batch = await consumer.poll(10, seconds=0.1)
            if batch:
                consumer.begin(batch)
                consumer.end({(each.topic, each.partition): each.offset + 1 for each in batch})
                messages += batch
    return messages


def position(intruder: Consumer, place: Place) -> int:
    """What the group has committed."""
    [committed] = intruder.committed([TopicPartition(*place)], timeout=10)
    return int(committed.offset)


@pytest.mark.usefixtures("hurried")
async def test_a_member_that_has_read_nothing_reads_again(
    topics: list[str], bootstrap: str, prefix: str, protocol: str, intruder: Consumer
) -> None:
    """It began where the group was; then the group is moved back behind it, and nothing new comes."""
    [topic, *_] = topics
    written(bootstrap, topic)
    first = ours(bootstrap, prefix, topic, protocol)
    await handle(first, PARTITIONS * MESSAGES)
    await first.close()

    second = ours(bootstrap, prefix, topic, protocol)
    intruder.subscribe([topic])
    async with asyncio.timeout(60):
        while not second.assigned or len(second.assigned) + len(intruder.assignment()) != PARTITIONS:
            assert await second.poll(10, seconds=0.1) == []
            intruder.poll(0.1)
    place = min(second.assigned)
    assert position(intruder, place) == MESSAGES
    intruder.commit(offsets=[TopicPartition(*place, 1)], asynchronous=False)
    assert position(intruder, place) == 1, "the broker takes it"

    again = await handle(second, MESSAGES - 1)
    assert [(each.topic, each.partition, each.offset) for each in again] == [(*place, n) for n in range(1, MESSAGES)]
    async with asyncio.timeout(60):
        while position(intruder, place) != MESSAGES:
            assert await second.poll(10, seconds=0.1) == []
    await second.close()
