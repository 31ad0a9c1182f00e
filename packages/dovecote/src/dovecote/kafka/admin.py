"""Administration: topics made and checked at start, the group's lag, the protocol that the broker speaks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stubs forget to re-export
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
)

from dovecote.errors import UnavailableError
from dovecote.kafka import config
from dovecote.kafka.patience import patiently

REQUEST_SECONDS = 15.0
_PASSING = {
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NON_EMPTY_GROUP,
}

class Admin:
    """A short-lived administrator's connection. Its calls block on a thread, never the loop."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._client: Any = AdminClient({"bootstrap.servers": bootstrap}, logger=config.LOGGER)
        self._listeners: dict[str, Any] = {}

    async def topics(self) -> Mapping[str, int]:
        """Every topic with its number of partitions. Raises UnavailableError where no broker answers."""
        return await asyncio.to_thread(self._topics)

    async def ensure_topics(
        self, names: Sequence[str], *, partitions: int, replication: int, settings: Mapping[str, str] | None = None
    ) -> list[str]:
        """Create what is missing, leave what exists as it is; returns the created names."""
        return await asyncio.to_thread(self._ensure, names, partitions, replication, dict(settings or {}))

    async def delete_topics(self, names: Sequence[str]) -> None:
        """Delete topics; unknown ones are no error."""
        await asyncio.to_thread(self._delete, names)

    async def delete_groups(self, names: Sequence[str]) -> None:
        """Delete consumer groups; unknown ones are no error."""
        await asyncio.to_thread(self._delete_groups, names)

    async def protocol(self) -> str:
        """``consumer`` where the brokers speak KIP-848, else ``classic``."""
        return await asyncio.to_thread(self._protocol)

    async def retention_ms(self, names: Sequence[str]) -> int:
        """The longest retention.ms of the topics, in milliseconds; -1 where one keeps for ever.

        Raises UnavailableError where a topic stays unknown.
        """
        return await asyncio.to_thread(self._retention, names)

    async def lag(self, group: str, topics: Sequence[str]) -> int:
        """Messages on the topics that the group has not committed past.

        Raises UnavailableError where the brokers cannot say: one is away, or a new topic's leader is not yet chosen.
        """
        try:
            return await asyncio.to_thread(self._lag, group, topics)
        except KafkaException as error:
            raise UnavailableError(f"What {group} has not heard is not known: {error.args[0].str()}") from error

    async def committed(self, group: str, topics: Sequence[str]) -> Mapping[tuple[str, int], int]:
        """The offsets that the group has committed, by topic and partition; none for a partition without one.

        Raises UnavailableError where the group's coordinator cannot say.
        """
        try:
            return await asyncio.to_thread(self._committed_of, group, topics)
        except KafkaException as error:
            raise UnavailableError(f"What {group} has committed is not known: {error.args[0].str()}") from error

    # -- blocking -----------------------------------------------------------------------------------------

    def _topics(self) -> Mapping[str, int]:
        try:
            found = self._client.list_topics(timeout=REQUEST_SECONDS).topics
        except KafkaException as error:
            raise UnavailableError(f"Kafka at {self._bootstrap} does not answer: {error.args[0].str()}") from error
        return {name: len(topic.partitions) for name, topic in found.items()}

    def _ensure(self, names: Sequence[str], partitions: int, replication: int, settings: dict[str, str]) -> list[str]:
        known = self._topics()
        missing = [name for name in dict.fromkeys(names) if name not in known]
        if not missing:
            return []
        wanted = [NewTopic(name, partitions, replication, config=settings) for name in missing]
        created = []
        for name, future in self._client.create_topics(wanted, request_timeout=REQUEST_SECONDS).items():
            try:
                future.result()
                created.append(name)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise UnavailableError(f"Topic {name} cannot be created: {error.args[0].str()}") from error
        return created

    def _delete(self, names: Sequence[str]) -> None:
        if not names:
            return
        for future in self._client.delete_topics(list(names)).values():
            _ignore_unknown(future, KafkaError.UNKNOWN_TOPIC_OR_PART)

    def _delete_groups(self, names: Sequence[str]) -> None:
        for name in names:
            # A coordinator may have moved, a member may still be leaving: both pass.
            patiently(partial(self._delete_group, name), seconds=REQUEST_SECONDS, passing=_PASSING)

    def _delete_group(self, name: str) -> None:
        _ignore_unknown(self._client.delete_consumer_groups([name])[name], KafkaError.GROUP_ID_NOT_FOUND)

    def _settings(self, kind: Any, name: str) -> Mapping[str, str]:
        future = self._client.describe_configs([ConfigResource(kind, name)])
        entries = next(iter(future.values())).result(REQUEST_SECONDS)
        return {key: entry.value for key, entry in entries.items()}

    def _protocol(self) -> str:
        try:
            cluster = self._client.list_topics(timeout=REQUEST_SECONDS)
            broker = self._settings(ConfigResource.Type.BROKER, str(next(iter(cluster.brokers))))
        except (KafkaException, StopIteration):
            return "classic"  # a broker that will not say is spoken to in what every broker knows
        protocols = broker.get("group.coordinator.rebalance.protocols")
        if protocols is not None:
            return "consumer" if "consumer" in protocols.split(",") else "classic"
        return "consumer" if "group.consumer.session.timeout.ms" in broker else "classic"

    def _retention(self, names: Sequence[str]) -> int:
        longest = 0
        for name in names:
            kept = int(self._topic_settings(name).get("retention.ms", "0"))
            if kept < 0:
                return -1
            longest = max(longest, kept)
        return longest

    def _topic_settings(self, name: str) -> Mapping[str, str]:
        """The settings of a topic that exists: one just created is not known to every broker at once."""
        ask = partial(self._settings, ConfigResource.Type.TOPIC, name)
        try:
            return patiently(ask, seconds=REQUEST_SECONDS, passing={KafkaError.UNKNOWN_TOPIC_OR_PART})
        except KafkaException as error:
            raise UnavailableError(f"Topic {name} cannot be described: {error.args[0].str()}") from error

    def _lag(self, group: str, topics: Sequence[str]) -> int:
        known = self._topics()
        partitions = [TopicPartition(t, p) for t in topics for p in range(known.get(t, 0))]
        if not partitions:
            return 0
        committed = self._committed(group, partitions)
        earliest = self._offsets(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        latest = self._offsets(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        lag = 0
        for key, end in latest.items():
            position = committed.get(key, -1)
            lag += end - (position if position >= 0 else earliest[key])
        return lag

    def _committed_of(self, group: str, topics: Sequence[str]) -> Mapping[tuple[str, int], int]:
        known = self._topics()
        partitions = [TopicPartition(t, p) for t in topics for p in range(known.get(t, 0))]
        if not partitions:
            return {}
        # The coordinator of a group may only just be becoming one.
        ask = partial(self._committed, group, partitions)
        found = patiently(ask, seconds=REQUEST_SECONDS, passing=_PASSING)
        return {place: offset for place, offset in found.items() if offset >= 0}

    def _committed(self, group: str, partitions: Sequence[TopicPartition]) -> dict[tuple[str, int], int]:
        """Ask as a consumer that never joins its group.

        AdminClient.list_consumer_group_offsets ends the whole process (SIGSEGV, SIGABRT) where the coordinator is just
        going away: librdkafka issue 5040.
        """
        if group not in self._listeners:
            asking = {"bootstrap.servers": self._bootstrap, "group.id": group, "enable.auto.commit": False}
            self._listeners.setdefault(group, Consumer(asking, logger=config.LOGGER))
        answer = self._listeners[group].committed(list(partitions), timeout=REQUEST_SECONDS)
        for partition in answer:
            if partition.error is not None:
                raise KafkaException(partition.error)
        return {(partition.topic, partition.partition): partition.offset for partition in answer}

    def _offsets(self, partitions: Sequence[TopicPartition], spec: Any) -> dict[tuple[str, int], int]:
        futures = self._client.list_offsets(dict.fromkeys(partitions, spec), request_timeout=REQUEST_SECONDS)
        return {(p.topic, p.partition): f.result(REQUEST_SECONDS).offset for p, f in futures.items()}


def _ignore_unknown(future: Any, code: int) -> None:
    try:
        future.result(REQUEST_SECONDS)
    except KafkaException as error:
        if error.args[0].code() != code:
            raise
