"""The consumer: polls, delivers in batches, and lets the offset follow the database, never lead it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from dovecote import telemetry
from dovecote.errors import is_environment
from dovecote.guard import Guard
from dovecote.kafka import Assignment, KafkaConsumer, Message
from dovecote.pace import Metered, Pace
from dovecote.retry import backoff, jitter

if TYPE_CHECKING:
    from dovecote.database import Database
    from dovecote.delivery import Courier
    from dovecote.reading import Reader

POLL_SECONDS = 0.5
# A batch that takes longer keeps its membership alive by polling with its partitions paused.
HOLD_AFTER_SECONDS = 2.0


class ConsumerLoop:
    """Runs one member of a consumer group until told to stop."""

    def __init__(
        self,
        database: Database,
        reader: Reader,
        courier: Courier,
        *,
        group: str,
        topics: Sequence[str],
        bootstrap: str,
        protocol: str,
    ) -> None:
        self._reader = reader
        self._courier = courier
        self._guard = Guard(database, group)
        self._group = group
        self._topics = topics
        self._bootstrap = bootstrap
        self._protocol = protocol
        self._pace = Pace()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Finish the batch in hand, commit its offsets, leave the group."""
        self._stopping.set()

    async def run(self) -> None:
        """Consume until ``stop``."""
        kafka = KafkaConsumer(
            self._bootstrap,
            group=self._group,
            topics=self._topics,
            protocol=self._protocol,
            on_error=lambda why: telemetry.offsets_dropped(self._group, why),
        )
        try:
            late: list[Message] = []
            while not self._stopping.is_set():
                messages = late or await kafka.poll(self._pace.batch_max, seconds=POLL_SECONDS)
                late = await self._batch(kafka, messages) if messages else []
        finally:
            await kafka.close()

    async def _batch(self, kafka: KafkaConsumer, messages: Sequence[Message]) -> list[Message]:
        """Handle messages to the end; returns what the consumer was handed meanwhile."""
        kafka.begin()
        offsets: dict[Assignment, int] = {}
        late: list[Message] = []
        held = False
        work = asyncio.create_task(self._handle(messages, kafka.take_fresh()))
        try:
            while True:
                done, _ = await asyncio.wait([work], timeout=HOLD_AFTER_SECONDS)
                if done:
                    break
                late.extend(await kafka.hold())
                held = True
            if work.result():
                offsets = {(m.topic, m.partition): m.offset + 1 for m in messages}
        finally:
            work.cancel()
            kafka.end(offsets)
        if held:
            await kafka.release()
        return late

    async def _handle(self, messages: Sequence[Message], fresh: set[Assignment]) -> bool:
        """Deliver, repeating for as long as the environment fails; False where a stop came first."""
        attempt = 0
        suspects: set[Assignment] | None = None
        while True:
            try:
                # Noted once: a repeat because the environment failed is no try of the message.
                if suspects is None:
                    suspects = await self._guard.suspects(_firsts(messages, fresh))
                await self._deliver([m for m in messages if (m.topic, m.partition) not in suspects])
                await self._one_by_one([m for m in messages if (m.topic, m.partition) in suspects])
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

    async def _deliver(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        work = Metered(self._deliver_runs(messages))
        await work
        self._pace.note(len(messages), work.loop_seconds)

    async def _deliver_runs(self, messages: Sequence[Message]) -> None:
        for run in self._reader.runs(messages):
            await self._courier.deliver(run)

    async def _one_by_one(self, messages: Sequence[Message]) -> None:
        for message in messages:
            one = self._reader.read(message)
            if await self._guard.deadly(message):
                await self._courier.condemn(one, "The process died each time this message was handled.")
            else:
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
