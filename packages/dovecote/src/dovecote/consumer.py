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
from dovecote.reading import runs
from dovecote.retry import backoff, jitter

if TYPE_CHECKING:
    from dovecote.database import Database
    from dovecote.delivery import Courier
    from dovecote.reading import Reader, Received

POLL_SECONDS = 0.5
# A batch that takes longer keeps its membership alive by polling with its partitions paused.
HOLD_AFTER_SECONDS = 2.0
# A poll may bring this many batches. Bound to one, it was cut into a small transaction for each of its topics: half as
# many transactions, and a sixth less CPU for an order.
BATCHES_A_POLL = 4
# So many messages are read before whoever else is on the loop gets his turn: about a millisecond.
READ_TOGETHER = 100


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
        self._full = False  # and as much as it might
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Finish the batch in hand, commit its offsets, leave the group."""
        self._stopping.set()

    async def run(self) -> None:
        """Consume until ``stop``."""
        kafka = self._join()
        try:
            batch: Sequence[Received] = []
            while not self._stopping.is_set():
                batch = await self._batch(kafka, batch or await self._poll(kafka))
        finally:
            await kafka.close()

    async def _poll(self, kafka: KafkaConsumer) -> list[Received]:
        """The next messages, read."""
        most = self._poll_max()
        messages = await kafka.poll(most, seconds=POLL_SECONDS)
        self._behind = len(messages) > self._slowest(behind=False)
        self._full = len(messages) >= most
        received: list[Received] = []
        for part in shares(messages, READ_TOGETHER):
            if received:
                await asyncio.sleep(0)
            received += map(self._reader.read, part)
        return received

    async def _batch(self, kafka: KafkaConsumer, batch: Sequence[Received]) -> list[Received]:
        """Handle a batch to the end, and only then let its offsets go; returns what was polled meanwhile.

        Where the last poll was full there is more, and it is read while PostgreSQL works. Not beside the first batch
        after an assignment, which is watched for what kills the process.
        """
        if not batch:
            return []
        messages = [one.message for one in batch]
        fresh = kafka.begin(messages)
        work = asyncio.create_task(self._handle(batch, fresh))
        # Not after the wait below but at once: a poll in there may be a revocation that waits for this end.
        work.add_done_callback(lambda done: kafka.end(_offsets(messages) if _succeeded(done) else {}))
        ahead = asyncio.create_task(self._poll(kafka)) if self._full and not fresh else None
        held = False
        try:
            while not work.done():
                await asyncio.wait([work], timeout=HOLD_AFTER_SECONDS)
                if not work.done():
                    await kafka.hold()
                    held = True
            work.result()
            if held:
                await kafka.release()
            return await ahead if ahead else []
        finally:
            work.cancel()
            if ahead:
                ahead.cancel()

    async def _handle(self, batch: Sequence[Received], fresh: set[Assignment]) -> bool:
        """Deliver, repeating for as long as the environment fails; False where a stop came first."""
        attempt = 0
        # Noted once: a repeat because the environment failed is no try of the message.
        suspects: set[Assignment] | None = None
        tried: set[tuple[Assignment, int]] = set()
        while True:
            try:
                if suspects is None:
                    suspects = await self._guard.suspects(_firsts(batch, fresh))
                await self._deliver([one for one in batch if one.message.place not in suspects] if suspects else batch)
                if suspects:
                    await self._one_by_one([one for one in batch if one.message.place in suspects], tried)
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

    async def _deliver(self, batch: Sequence[Received]) -> None:
        """Topic by topic, each at its own pace."""
        by_topic: dict[str, list[Received]] = {}
        for one in batch:
            by_topic.setdefault(one.message.topic, []).append(one)
        for topic, waiting in by_topic.items():
            pace = self._paces[topic]
            for share in shares(waiting, pace.batch_max(behind=self._behind)):
                work = Metered(self._deliver_runs(share))
                await work
                pace.note(len(share), work.loop_seconds)

    async def _deliver_runs(self, share: Sequence[Received]) -> None:
        for run in runs(share):
            await self._courier.deliver(run)

    async def _one_by_one(self, batch: Sequence[Received], tried: set[tuple[Assignment, int]]) -> None:
        for one in batch:
            message = one.message
            place = message.place, message.offset
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


def _firsts(batch: Sequence[Received], fresh: set[Assignment]) -> list[Message]:
    firsts: dict[Assignment, Message] = {}
    for one in batch if fresh else ():
        if one.message.place in fresh:
            firsts.setdefault(one.message.place, one.message)
    return list(firsts.values())


def _offsets(messages: Sequence[Message]) -> dict[Assignment, int]:
    return {message.place: message.offset + 1 for message in messages}


def _succeeded(work: asyncio.Task[bool]) -> bool:
    return not work.cancelled() and work.exception() is None and work.result()
