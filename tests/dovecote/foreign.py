"""The other side of Kafka: a foreign producer's bytes, and what the broker itself says of a group."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from dovecote.kafka import Admin
from dovecote.kafka.config import LOGGER
from dovecote.testing import eventually
from tests.dovecote.poison import envelope


def ping(n: int, *, mood: str = "fine", event_id: UUID | None = None) -> bytes:
    """A ping as a foreign producer writes it."""
    return envelope(f'{{"n": {n}, "mood": "{mood}"}}', event_id=str(event_id or uuid4()))


class Foreign:
    """A producer that knows nothing of us, and an administrator that asks the broker."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "linger.ms": 2,
                "message.max.bytes": 4_000_000,
            },
            logger=LOGGER,
        )
        self._admin: Any = AdminClient({"bootstrap.servers": bootstrap}, logger=LOGGER)
        self._bootstrap = bootstrap
        self._listeners: dict[str, Any] = {}

    async def send(self, topic: str, values: Iterable[bytes | None], *, partition: int = 0, **more: Any) -> None:
        """Values onto a partition, in order; all are acknowledged when this returns."""
        await asyncio.to_thread(self._send, topic, list(values), partition, more)

    def _send(self, topic: str, values: Sequence[bytes | None], partition: int, more: Mapping[str, Any]) -> None:
        failed: list[Any] = []

        def delivered(error: Any, _message: object) -> None:
            if error is not None:
                failed.append(error)

        for value in values:
            self._producer.produce(topic, value=value, partition=partition, on_delivery=delivered, **more)
        assert self._producer.flush(30) == 0, "Kafka did not acknowledge in time"
        assert not failed, failed

    async def committed(self, group: str, topic: str, partitions: int = 1) -> list[int]:
        """The group's committed offsets, partition by partition; asked again while the broker is away."""

        async def answer() -> list[int]:
            return await asyncio.to_thread(self._committed, group, topic, partitions)

        return list(await eventually(answer, seconds=40, what="the broker says what is committed"))

    def _committed(self, group: str, topic: str, partitions: int) -> list[int]:
        # A consumer that never joins, as in dovecote.kafka.admin: the AdminClient's question can end the process.
        if group not in self._listeners:
            self._listeners[group] = Consumer({"bootstrap.servers": self._bootstrap, "group.id": group}, logger=LOGGER)
        asked = [TopicPartition(topic, number) for number in range(partitions)]
        try:
            answer = self._listeners[group].committed(asked, timeout=5)
        except KafkaException:
            return []
        return [] if any(one.error for one in answer) else [one.offset for one in answer]

    async def members(self, group: str) -> dict[str, set[int]]:
        """The partitions of each member (of a group that reads one topic), as the coordinator sees it."""
        return await asyncio.to_thread(self._members, group)

    def _members(self, group: str) -> dict[str, set[int]]:
        found = self._admin.describe_consumer_groups([group])[group].result(15)
        return {one.member_id: {p.partition for p in one.assignment.topic_partitions} for one in found.members}


@asynccontextmanager
async def made_topics(
    bootstrap: str, names: Sequence[str], *, partitions: int = 1, group: str = ""
) -> AsyncIterator[None]:
    """Topics for as long as the block lasts, which take large messages; the group that read them goes with them."""
    admin = Admin(bootstrap)
    settings = {"max.message.bytes": "4000000"}
    await admin.ensure_topics(names, partitions=partitions, replication=1, settings=settings)
    try:
        yield
    finally:
        if group:
            await admin.delete_groups([group])
        await admin.delete_topics(names)
