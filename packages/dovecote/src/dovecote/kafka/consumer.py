"""A Kafka consumer for an event loop: one thread polls, the loop handles."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from dovecote.kafka import config
from dovecote.kafka.message import Assignment, Message, headers_of

T = TypeVar("T")

# How long a revocation waits for the batch in hand. A batch is bounded by the database's statement limits;
# what commits later all the same is absorbed by the inbox.
REVOKE_WAIT_SECONDS = 30.0
# How long a refused position waits: longer than a member takes to hear that its group has gone on without it.
REFUSED_SECONDS = 3.0
# How often a position that stands is committed again. A member that lost a partition may have moved its group back by a
# late commit; where nothing new comes, the group would seem to lag for ever.
REPEAT_SECONDS = 30.0
ASK_SECONDS = 1.0  # how long the poll waits for the group's positions; the next time comes soon


class KafkaConsumer:
    """A member of a consumer group. Offsets are committed asynchronously, one request at a time.

    Each assignment of a partition has a number. What was polled under another number than the current one is
    never committed: the partition has been someone else's in between, and the offset would go back. Where a batch is
    polled while another is in hand, a partition may be lost before it begins, too.

    ``gather_ms`` is how long messages may wait at the broker for others to come with them.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        group: str,
        topics: Sequence[str],
        protocol: str,
        on_error: Callable[[str], None],
        gather_ms: int = 0,
        client: Callable[..., Any] = Consumer,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"kafka-{group}")
        self._on_error = on_error
        self._monotonic = monotonic
        self._idle = threading.Event()
        self._idle.set()
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._assigned: dict[Assignment, int] = {}
        self._in_hand: dict[Assignment, int | None] = {}
        self._fresh: set[Assignment] = set()
        self._late: list[Message] = []
        self._gone: set[Assignment] = set()  # taken away since the last poll brought something
        # Next offsets: to be committed, under way to the broker, and refused by it.
        self._pending: dict[Assignment, int] = {}
        self._sent: dict[Assignment, int] = {}
        self._refused: dict[Assignment, int] = {}
        self._refused_at = 0.0
        self._reached: dict[Assignment, int] = {}  # next offsets of all that was handled under the assignments of now
        self._repeat_at = monotonic() + REPEAT_SECONDS
        self._committing = False
        self._consumer: Any = client(
            {
                **config.consumer(protocol, gather_ms=gather_ms),
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "on_commit": self._committed,
            },
            logger=config.LOGGER,
        )
        self._consumer.subscribe(list(topics), on_assign=self._assign, on_revoke=self._revoke, on_lost=self._revoke)

    # -- called by the loop -------------------------------------------------------------------------------

    async def poll(self, most: int, *, seconds: float) -> list[Message]:
        """The next messages, at most so many: returns with the first that comes and what is there with it."""
        return await self._on_thread(self._poll, most, seconds)

    def begin(self, messages: Sequence[Message]) -> set[Assignment]:
        """A batch is in hand: a revocation waits for its end. Returns its partitions that are newly assigned."""
        self._idle.clear()
        with self._lock:
            places = {message.place for message in messages}
            self._in_hand = {place: None if place in self._gone else self._assigned.get(place) for place in places}
            fresh = self._fresh & places - self._gone
            self._fresh -= fresh
        return fresh

    def end(self, offsets: Mapping[Assignment, int]) -> None:
        """The batch's transactions are committed; its next offsets may be committed to Kafka."""
        with self._lock:
            for partition, offset in offsets.items():
                number = self._assigned.get(partition)
                if number is not None and number == self._in_hand.get(partition):
                    self._reached[partition] = max(offset, self._reached.get(partition, -1))
                    self._want(partition, offset)
        self._idle.set()

    async def hold(self) -> None:
        """Keep the membership alive while a batch takes long: pause, poll once."""
        await self._on_thread(self._hold)

    async def release(self) -> None:
        """Fetch again after ``hold``."""
        await self._on_thread(self._resume)

    @property
    def assigned(self) -> set[Assignment]:
        """Partitions that this member holds now."""
        with self._lock:
            return set(self._assigned)

    async def close(self) -> None:
        """Commit what is done, once, and leave the group."""
        await self._on_thread(self._close)
        self._executor.shutdown(wait=False)

    # -- on the poll thread -------------------------------------------------------------------------------

    async def _on_thread(self, call: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call, *args)

    def _poll(self, most: int, seconds: float) -> list[Message]:
        self._commit_pending()
        if self._late:
            late, self._late = self._late, []
            self._gone.clear()
            return late
        # consume() would wait for the whole number; poll() returns with the first.
        first = self._consumer.poll(seconds)
        self._gone.clear()  # what is lost by now has no message in what follows
        self._offer_again()
        self._repeat()
        if first is None:
            return []
        rest = self._consumer.consume(most - 1, 0) if most > 1 else []
        return self._read([first, *rest])

    def _read(self, records: Sequence[Any]) -> list[Message]:
        messages = []
        for record in records:
            error = record.error()
            if error is None:
                messages.append(
                    Message(
                        record.topic(),
                        record.partition(),
                        record.offset(),
                        record.key(),
                        record.value(),
                        headers_of(record),
                    )
                )
            elif error.code() != KafkaError._PARTITION_EOF:
                self._on_error(error.str())
        return messages

    def _hold(self) -> None:
        self._consumer.pause(self._consumer.assignment())
        record = self._consumer.poll(0)
        if record is not None:
            self._late += self._read([record])

    def _resume(self) -> None:
        self._consumer.resume(self._consumer.assignment())

    def _commit_pending(self) -> None:
        with self._lock:
            if self._committing or not self._pending:
                return
            self._sent, self._pending = self._pending, {}
            self._committing = True
            for partition in self._sent:
                self._refused.pop(partition, None)  # a newer position: the older one must not come after it
            positions = _positions(self._sent)
        try:
            self._consumer.commit(offsets=positions, asynchronous=True)
        except KafkaException as error:
            self._drop(error.args[0].str())

    def _committed(self, error: KafkaError | None, _offsets: object) -> None:
        if error is not None and error.code() != KafkaError._NO_OFFSET:
            self._drop(error.str())
            return
        with self._lock:
            self._sent = {}
            self._committing = False

    def _drop(self, why: str) -> None:
        with self._lock:
            self._refused |= self._sent
            self._refused_at = self._monotonic()
            self._sent = {}
            self._committing = False
        self._on_error(f"offset commit: {why}")

    def _offer_again(self) -> None:
        """Commit a refused position once more, if no newer one has been: else a quiet partition would lag for ever.

        This is no retry of the refused request: a member that was put out of its group hears so in a poll before
        it can join again, and what it held is forgotten then. Positions that are left belong to an assignment
        that has never ended (the refusal was a rebalance of others, or a coordinator that was away).
        """
        with self._lock:
            if not self._refused or self._monotonic() - self._refused_at < REFUSED_SECONDS:
                return
            for partition, offset in self._refused.items():
                self._want(partition, offset)
            self._refused = {}

    def _repeat(self) -> None:
        """Commit again what stands, after a poll: who has lost a partition has heard so by then."""
        if self._monotonic() >= self._repeat_at:
            self._repeat_at = self._monotonic() + REPEAT_SECONDS
            with self._lock:
                for partition, offset in self._reached.items():
                    self._want(partition, offset)
                silent = sorted(self._assigned.keys() - self._reached.keys())
            with contextlib.suppress(KafkaException):  # a coordinator that is away
                self._read_again([TopicPartition(*partition) for partition in silent])

    def _read_again(self, partitions: Sequence[TopicPartition]) -> None:
        """Go back to the group's position where nothing came since the partition is ours, although there is something.

        Such a late commit came after we had begun, and there is no position of ours to say against it: what is read
        twice is absorbed by the inbox, and then there is.
        """
        silent = [place for place in self._consumer.position(partitions) if place.offset < 0]
        for place in self._consumer.committed(silent, timeout=ASK_SECONDS) if silent else ():
            if place.error is None and 0 <= place.offset < self._consumer.get_watermark_offsets(place, cached=True)[1]:
                self._consumer.seek(place)

    def _want(self, partition: Assignment, offset: int) -> None:
        self._pending[partition] = max(offset, self._pending.get(partition, -1))

    def _assign(self, _consumer: object, partitions: Sequence[TopicPartition]) -> None:
        with self._lock:
            added = {(p.topic, p.partition): next(self._numbers) for p in partitions}
            self._assigned |= added
            self._fresh |= added.keys()

    def _revoke(self, _consumer: object, partitions: Sequence[TopicPartition]) -> None:
        self._idle.wait(REVOKE_WAIT_SECONDS)
        gone = {(p.topic, p.partition) for p in partitions}
        with self._lock:
            for partition in gone:
                for known in (self._assigned, self._pending, self._sent, self._refused, self._reached):
                    known.pop(partition, None)
            self._fresh -= gone
            self._gone |= gone
        self._late = [message for message in self._late if message.place not in gone]

    def _close(self) -> None:
        with self._lock:
            offsets = self._refused | self._pending
        if offsets:
            try:
                self._consumer.commit(offsets=_positions(offsets), asynchronous=False)
            except KafkaException as error:
                self._drop(error.args[0].str())
        self._consumer.close()


def _positions(offsets: Mapping[Assignment, int]) -> list[TopicPartition]:
    return [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
