"""The consumer: polls, delivers in batches, and lets the offset follow the database, never lead it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from dovecote import telemetry
from dovecote.errors import is_environment
from dovecote.guard import Guard
from dovecote.kafka import Assignment, KafkaConsumer, Message
from dovecote.pace import BATCH_MAX, Metered, Pace, shares
from dovecote.retry import backoff, jitter

if TYPE_CHECKING:
    from dovecote.database import Database
    from dovecote.delivery import Courier
    from dovecote.reading import Reader

POLL_SECONDS = 0.5
# A batch that takes longer keeps its membership alive by polling with its partitions paused.
HOLD_AFTER_SECONDS = 2.0
# A poll may bring this many batches. Bound to one, it was cut into a small transaction for each of its topics: half as
# many transactions, and a sixth less CPU for an order.
BATCHES_A_POLL = 4


class ConsumerLoop:
    """Runs one member of a consumer group until told to stop."""

    def __init__(
        self,
        database: Database,
        reader: Reader,
        courier: Courier,
        *,
        group: str,
        join: Callable[[], KafkaConsumer],
    ) -> None:
        self._reader = reader
        self._courier = courier
        self._guard = Guard(database, group)
        self._group = group
        self._join = join
        self._paces: defaultdict[str, Pace] = defaultdict(Pace)
        self._behind = False  # the last poll brought more than a batch
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Finish the batch in hand, commit its offsets, leave the group."""
        self._stopping.set()

    async def run(self) -> None:
        """Consume until ``stop``."""
        kafka = self._join()
        try:
            while not self._stopping.is_set():
                messages = await kafka.poll(self._poll_max(), seconds=POLL_SECONDS)
                self._behind = len(messages) > self._slowest(behind=False)
                if messages:
                    await self._batch(kafka, messages)
        finally:
            await kafka.close()

    async def _batch(self, kafka: KafkaConsumer, messages: Sequence[Message]) -> None:
        """Handle messages to the end, and only then let their offsets go."""
        work = asyncio.create_task(self._handle(messages, kafka.begin(messages)))
        # Not after the wait below but at once: a poll in there may be a revocation that waits for this end.
        work.add_done_callback(lambda done: kafka.end(_offsets(messages) if _succeeded(done) else {}))
        held = False
        try:
            while not work.done():
                await asyncio.wait([work], timeout=HOLD_AFTER_SECONDS)
                if not work.done():
                    await kafka.hold()
                    held = True
            work.result()
        finally:
            work.cancel()
        if held:
            await kafka.release()

    async def _handle(self, messages: Sequence[Message], fresh: set[Assignment]) -> bool:
        """Deliver, repeating for as long as the environment fails; False where a stop came first."""
        attempt = 0
        # Noted once: a repeat because the environment failed is no try of the message.
        suspects: set[Assignment] | None = None
        tried: set[tuple[Assignment, int]] = set()
        while True:
            try:
                if suspects is None:
                    suspects = await self._guard.suspects(_firsts(messages, fresh))
                await self._deliver([m for m in messages if (m.topic, m.partition) not in suspects])
                await self._one_by_one([m for m in messages if (m.topic, m.partition) in suspects], tried)
            except Exception as error:  # a loop's edge: only the environment is waited out
                if not is_environment(error):
                    raise
                attempt += 1
                telemetry.waiting(f"consumer {self._group}", error)
            else:
                return True
            wait = jitter(backoff(attempt, first=timedelta(milliseconds=50), most=timedelta(seconds=2)))
            if await self._stopped_within(wait.total_seconds()):
                return False

    def _poll_max(self) -> int:
        return min(BATCH_MAX, BATCHES_A_POLL * self._slowest(behind=self._behind))

    def _slowest(self, *, behind: bool) -> int:
        """The smallest batch of any topic."""
        return min(pace.batch_max(behind=behind) for pace in (self._paces.values() or [Pace()]))

    async def _deliver(self, messages: Sequence[Message]) -> None:
        """Topic by topic, each at its own pace; what comes later is not even decoded before its turn."""
        by_topic: dict[str, list[Message]] = {}
        for message in messages:
            by_topic.setdefault(message.topic, []).append(message)
        for topic, waiting in by_topic.items():
            pace = self._paces[topic]
            for batch in shares(waiting, pace.batch_max(behind=self._behind)):
                work = Metered(self._deliver_runs(batch))
                await work
                pace.note(len(batch), work.loop_seconds)

    async def _deliver_runs(self, messages: Sequence[Message]) -> None:
        for run in self._reader.runs(messages):
            await self._courier.deliver(run)

    async def _one_by_one(self, messages: Sequence[Message], tried: set[tuple[Assignment, int]]) -> None:
        for message in messages:
            one = self._reader.read(message)
            place = (message.topic, message.partition), message.offset
            if place not in tried and await self._guard.deadly(message):
                await self._courier.condemn(one, "The process died each time this message was handled.")
            else:
                tried.add(place)
                await self._courier.deliver([one])

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True


def _firsts(messages: Sequence[Message], fresh: set[Assignment]) -> list[Message]:
    firsts: dict[Assignment, Message] = {}
    for message in messages:
        place = message.topic, message.partition
        if place in fresh:
            firsts.setdefault(place, message)
    return list(firsts.values())


def _offsets(messages: Sequence[Message]) -> dict[Assignment, int]:
    return {(message.topic, message.partition): message.offset + 1 for message in messages}


def _succeeded(work: asyncio.Task[bool]) -> bool:
    return not work.cancelled() and work.exception() is None and work.result()
