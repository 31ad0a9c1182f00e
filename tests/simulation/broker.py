"""Kafka, simulated: logs, groups with rebalances and late commits, producers whose answers may be lost."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, TopicPartition

from dovecote.kafka import LogRecord
from tests.simulation.record import Place, Record
from tests.simulation.world import Actor, World

PARTITIONS = 2


@dataclass(slots=True)
class Group:
    """A consumer group: who is in it, what each holds, what is committed."""

    name: str
    committed: dict[Place, int] = field(default_factory=dict)
    members: list[Client] = field(default_factory=list)
    held: dict[Place, Client] = field(default_factory=dict)
    epoch: int = 0


class Broker:
    """One cluster. It is an actor: what it does takes turns, and while it sleeps nothing is written or read."""

    name = "kafka"

    def __init__(self, world: World) -> None:
        self.world = world
        self.sleeps = False
        self.is_dead = False
        self.logs: dict[Place, list[Record]] = {}
        self.groups: dict[str, Group] = {}
        self.takes_late_commits = 0.5  # how often a commit of a member that was put out is taken all the same
        self.commit_is_lost = 0.0
        self.batch_max = 8
        self.wrong: list[str] = []
        self._seen: set[tuple[str, bytes | None]] = set()
        self._last: dict[tuple[str, bytes | None], int] = {}

    # -- logs -----------------------------------------------------------------------------------------------------

    def place(self, topic: str, key: bytes | None) -> Place:
        return topic, zlib.crc32(key or b"") % PARTITIONS

    def append(self, topic: str, key: bytes | None, value: bytes | None, headers: Any) -> Place:
        """Write a message, and tell the members who hear its topic."""
        at = self.place(topic, key)
        log = self.logs.setdefault(at, [])
        log.append(Record(at, len(log), key, value, headers))
        self._note_overtaking(topic, key, value, headers)
        for group in self.groups.values():
            for member in group.members:
                if topic in member.topics:
                    member.bell.set()
        return at

    def end(self, group: str, at: Place) -> int:
        return len(self.logs.get(at, ()))  # how far a group can read a log

    def records(self) -> list[LogRecord]:
        """All that was ever written."""
        return [
            LogRecord(*at, record.offset(), record.key(), record.value(), record.headers(), 0)
            for at, log in sorted(self.logs.items())
            for record in log
        ]

    def _note_overtaking(self, topic: str, key: bytes | None, value: bytes | None, headers: Any) -> None:
        """O4, I14: an aggregate's events are first written in the order of their numbers, across all its topics."""
        numbers = [int(number) for name, number in headers if name == "aggregate-sequence"]
        if not numbers or (topic, value) in self._seen:
            return
        self._seen.add((topic, value))
        aggregate = topic.split(".", maxsplit=1)[0], key
        if numbers[0] < self._last.get(aggregate, 0):
            self.wrong.append(f"I14: {topic} {numbers[0]} of {key!r} after {self._last[aggregate]}")
        self._last[aggregate] = max(numbers[0], self._last.get(aggregate, 0))

    def keys(self, topic: str) -> frozenset[str]:
        """The keys of all messages of a topic."""
        return frozenset(
            (record.key() or b"").decode() for at, log in self.logs.items() if at[0] == topic for record in log
        )

    # -- groups ---------------------------------------------------------------------------------------------------

    def group(self, name: str) -> Group:
        return self.groups.setdefault(name, Group(name))

    def lag(self, name: str, topics: Sequence[str]) -> int:
        """Messages of the topics beyond the group's commits."""
        committed = self.group(name).committed
        return sum(len(log) - committed.get(at, 0) for at, log in self.logs.items() if at[0] in topics)

    def join(self, member: Client) -> None:
        self.group(member.group).members.append(member)
        self.rebalance(member.group)

    def leave(self, member: Client) -> None:
        """A member goes, or is put out; what it holds is given to others."""
        group = self.group(member.group)
        if member in group.members:
            group.members.remove(member)
            member.is_out = True
            self.rebalance(member.group)

    def rebalance(self, name: str) -> None:
        """Deal the partitions out anew, from a chance place on."""
        group = self.group(name)
        group.epoch += 1
        group.held.clear()
        if not group.members:
            return
        topics = sorted({topic for member in group.members for topic in member.topics})
        start = self.world.chance.randrange(len(group.members))
        for number, topic in enumerate(topics):
            for partition in range(PARTITIONS):
                owner = group.members[(start + number + partition) % len(group.members)]
                group.held[topic, partition] = owner
        for member in group.members:
            member.bell.set()

    async def commit(
        self, member: Client, offsets: Mapping[Place, int], sent_under: Mapping[Place, int | None]
    ) -> None:
        """A member's commit arrives. One from an assignment that is over may be taken, and moves the group back."""
        group = self.group(member.group)
        await self.world.turn(self, f"commit of {member.actor.name}")
        chance = self.world.chance.random()
        late = member.is_out or member.stamps(offsets) != sent_under
        wrong = any(group.held.get(at) is not member for at in offsets)
        if chance < self.commit_is_lost:
            answer: KafkaError | None = KafkaError(KafkaError.REQUEST_TIMED_OUT)
            if chance < self.commit_is_lost / 2:
                group.committed.update(offsets)
        elif (wrong or late) and chance > self.takes_late_commits:
            answer = KafkaError(KafkaError.ILLEGAL_GENERATION)
        else:
            if not (late or wrong):
                self._note_fall(member, offsets)
            group.committed.update(offsets)
            answer = None
        if not member.actor.is_dead:
            member.on_commit(answer, [])
            member.bell.set()

    def _note_fall(self, member: Client, offsets: Mapping[Place, int]) -> None:
        """I15: who holds a partition never moves its group below where it began itself, or was already."""
        for at, offset in offsets.items():
            if offset < member.reached[at]:
                self.wrong.append(f"I15: {member.group} on {at}: {member.reached[at]}, then {offset}")
            member.reached[at] = offset


class Client:
    """Stands where confluent_kafka's Consumer stands; callbacks come in poll, as there."""

    def __init__(self, broker: Broker, actor: Actor, config: Mapping[str, Any], **_: Any) -> None:
        self.broker = broker
        self.actor = actor
        self.group: str = config["group.id"]
        self.on_commit: Callable[[KafkaError | None, Any], None] = config["on_commit"]
        self.topics: set[str] = set()
        self.bell = asyncio.Event()
        self.is_out = False
        self.since: dict[Place, int] = {}  # the group's epoch in which each partition was assigned
        self.reached: dict[Place, int] = {}  # where it began in its assignment, or what it has committed since
        self._position: dict[Place, int] = {}
        self._silent: set[Place] = set()  # nothing was read of it since it was assigned
        self._left = 0
        self._callbacks: dict[str, Callable[..., None]] = {}
        self._paused = False
        self._sent: set[asyncio.Task[None]] = set()

    def subscribe(self, topics: Sequence[str], **callbacks: Callable[..., None]) -> None:
        self.topics = set(topics)
        self._callbacks = callbacks
        self.broker.join(self)

    def poll(self, _seconds: float) -> Record | None:
        if self.broker.sleeps:
            return None
        self._follow()
        self._left = self.broker.world.chance.randint(1, self.broker.batch_max)
        return self._next()

    def consume(self, most: int, _seconds: float) -> list[Record]:
        records: list[Record] = []
        while len(records) < most and (record := self._next()) is not None:
            records.append(record)
        return records

    def _next(self) -> Record | None:
        ends = {at: self.broker.end(self.group, at) for at in self._position}
        waiting = sorted(at for at, position in self._position.items() if position < ends[at])
        if self._paused or not waiting or self._left <= 0:
            return None
        at = self.broker.world.chance.choice(waiting)
        record = self.broker.logs[at][self._position[at]]
        self._position[at] += 1
        self._silent.discard(at)
        self._left -= 1
        return record

    def _follow(self) -> None:
        """Learn of a new assignment: what is gone is revoked, or lost where we were put out of the group."""
        group = self.broker.group(self.group)
        was_out = self.is_out
        if was_out:
            self._give_up(list(self._position), "on_lost")
            self.is_out = False
            self.broker.join(self)
        mine = {at for at, owner in group.held.items() if owner is self}
        self._give_up([at for at in self._position if at not in mine], "on_revoke")
        added = sorted(mine - self._position.keys())
        if added:
            self._callbacks["on_assign"](self, [TopicPartition(*at) for at in added])
        for at in added:
            self._position[at] = self.reached[at] = group.committed.get(at, 0)
            self._silent.add(at)
            self.since[at] = group.epoch

    def _give_up(self, places: Sequence[Place], callback: str) -> None:
        if places:
            self._callbacks[callback](self, [TopicPartition(*at) for at in places])
        for at in places:
            del self._position[at]
            self.since.pop(at, None)

    def stamps(self, offsets: Mapping[Place, int]) -> dict[Place, int | None]:
        return {at: self.since.get(at) for at in offsets}

    def commit(self, *, offsets: Sequence[TopicPartition], asynchronous: bool) -> None:
        wanted = {(each.topic, each.partition): each.offset for each in offsets}
        for at in wanted.keys() - self._position.keys():
            self.broker.wrong.append(f"C1: {self.actor.name} commits {at}, which it knows it has lost")
        if not asynchronous:
            if self.is_out or self.broker.sleeps:
                raise KafkaException(KafkaError(KafkaError.UNKNOWN_MEMBER_ID))
            self.broker.group(self.group).committed.update(wanted)
            return
        task = asyncio.get_running_loop().create_task(self.broker.commit(self, wanted, self.stamps(wanted)))
        self._sent.add(task)
        task.add_done_callback(self._sent.discard)

    def pause(self, _partitions: object) -> None:
        self._paused = True

    def resume(self, _partitions: object) -> None:
        self._paused = False

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition(*at) for at in self._position]

    def position(self, places: Sequence[TopicPartition]) -> list[TopicPartition]:
        return [
            TopicPartition(*at, OFFSET_INVALID if at in self._silent else self._position[at])
            for at in ((place.topic, place.partition) for place in places)
        ]

    def committed(self, places: Sequence[TopicPartition], timeout: float) -> list[TopicPartition]:
        committed = self.broker.group(self.group).committed
        return [
            TopicPartition(*at, committed.get(at, OFFSET_INVALID))
            for at in ((place.topic, place.partition) for place in places)
        ]

    def get_watermark_offsets(self, place: TopicPartition, **_: bool) -> tuple[int, int]:
        return 0, self.broker.end(self.group, (place.topic, place.partition))

    def seek(self, place: TopicPartition) -> None:
        at = place.topic, place.partition
        self._position[at] = self.reached[at] = place.offset

    def close(self) -> None:
        self.broker.leave(self)

    @property
    def is_behind(self) -> bool:
        """Whether there is something to read, or to learn."""
        group = self.broker.group(self.group)
        mine = {at for at, owner in group.held.items() if owner is self}
        return self.is_out or mine != self._position.keys() or self._unread()

    def _unread(self) -> bool:
        return any(position < self.broker.end(self.group, at) for at, position in self._position.items())
