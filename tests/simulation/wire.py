"""What a service uses of Kafka, on the simulated broker: a member of its group, and its relay's producer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from dovecote.kafka import Failure, KafkaConsumer, Message, Outgoing, SendResult
from tests.simulation.broker import Broker, Client
from tests.simulation.curse import CURSES
from tests.simulation.record import Place
from tests.simulation.world import Actor

T = TypeVar("T")
POLL = "poll"
QUIET_SECONDS = 10.0
COMMIT_SECONDS = 0.5


class _NeverWaits:
    """In place of the flag on which a revocation waits for the batch in hand: here its patience is always over."""

    def set(self) -> None: ...

    def clear(self) -> None: ...

    def wait(self, _seconds: float) -> bool:
        return False


class Member(KafkaConsumer):
    """The library's own consumer on a simulated client, without its thread."""

    def __init__(self, broker: Broker, actor: Actor, *, group: str, topics: Sequence[str]) -> None:
        self._actor = actor
        self._broker = broker
        self._client: Client | None = None
        super().__init__(
            "simulated",
            group=group,
            topics=topics,
            protocol="classic",
            on_error=lambda _why: None,
            client=partial(self._made, broker, actor),
            monotonic=broker.world.loop.time,
        )
        self._idle: Any = _NeverWaits()

    def _made(self, broker: Broker, actor: Actor, config: dict[str, Any], **more: Any) -> Client:
        self._client = Client(broker, actor, config, **more)
        return self._client

    async def poll(self, most: int, *, seconds: float) -> list[Message]:
        """A turn, and what is there; else a wait for news."""
        client = self._client
        assert client is not None
        await self._broker.world.turn(self._actor, POLL)
        client.bell.clear()
        messages = self._poll(most, 0)
        if not messages and not client.is_behind:
            patience = COMMIT_SECONDS if self._pending or self._refused else QUIET_SECONDS
            try:
                async with asyncio.timeout(patience):
                    await client.bell.wait()
            except TimeoutError:
                pass
        return messages

    async def _on_thread(self, call: Callable[..., T], *args: Any) -> T:
        if self._actor.is_dead:
            raise asyncio.CancelledError
        return call(*args)


class Batch:
    """Records that were handed over together; their verdicts come together."""

    def __init__(self, expected: int) -> None:
        self.result = SendResult()
        self.future: asyncio.Future[SendResult] = asyncio.get_running_loop().create_future()
        self._expected = expected

    def verdict(self, record: int, failure: Failure | None) -> None:
        if failure is None:
            self.result.acked.append(record)
        else:
            self.result.failed.append((record, failure, "simulated"))
        self._expected -= 1
        if self._expected == 0 and not self.future.done():
            self.future.set_result(self.result)


class Producer:
    """Stands where the library's KafkaProducer stands: order within a partition is kept, answers may be lost."""

    def __init__(self, broker: Broker, actor: Actor, service: str, fail: Callable[[], Failure | None]) -> None:
        self._broker = broker
        self._service = service
        self._actor = actor
        self._fail = fail
        self._queues: dict[Place, list[tuple[Outgoing, int | None, Batch]]] = {}
        self._written: list[tuple[int, Batch]] = []
        self._bell = asyncio.Event()
        self._is_closed = False
        self._is_broken = False
        self._tasks = [
            asyncio.get_running_loop().create_task(each) for each in (self._write_all(), self._acknowledge_all())
        ]
        self._ack = asyncio.Event()

    def send(
        self, records: Sequence[Outgoing], follows: Mapping[int, int]
    ) -> tuple[asyncio.Future[SendResult], set[int]]:
        """Hand records over, in order."""
        batch = Batch(len(records))
        for record in records:
            at = self._broker.place(record.topic, record.key.encode())
            self._queues.setdefault(at, []).append((record, follows.get(record.id), batch))
        self._bell.set()
        return batch.future, set()

    async def close(self, *, seconds: float) -> None:
        """What is not written yet is dropped."""
        self._is_closed = True
        self._queues.clear()
        for task in self._tasks:
            task.cancel()

    async def _write_all(self) -> None:
        while True:
            await self._bell.wait()
            self._bell.clear()
            while self._queues:
                await self._broker.world.turn(self._broker, f"write for {self._actor.name}")
                if self._queues:
                    self._write(self._broker.world.chance.choice(sorted(self._queues)))

    def _write(self, at: Place) -> None:
        """The next records of a partition are written, or fail; after a failure nothing of the queue follows."""
        queue = self._queues[at]
        for _ in range(self._broker.world.chance.randint(1, len(queue))):
            record, _, batch = queue[0]
            failure = Failure.FATAL if self._is_broken else self._fail()
            if failure in (None, Failure.BROKER) and (failure is None or self._broker.world.chance.random() < 0.5):
                self._broker.append(record.topic, record.key.encode(), record.value, list(record.headers))
            if failure is not None:
                self._is_broken = self._is_broken or failure is Failure.FATAL
                self._refuse(at, failure)
                return
            queue.pop(0)
            self._written.append((record.id, batch))
            self._ack.set()
        if not queue:
            del self._queues[at]

    def _refuse(self, at: Place, failure: Failure) -> None:
        """A record alone can be refused; what is no fault of a record is one of all that wait."""
        queue = self._queues[at]
        count = 1 if failure in (Failure.RECORD, Failure.OTHER) else len(queue)
        followers = {queue[0][0].id}
        refused, rest = queue[:count], []
        for record, follows, batch in queue[count:]:
            if follows in followers:
                followers.add(record.id)
                refused.append((record, follows, batch))
            else:
                rest.append((record, follows, batch))
        for number, (record, _, batch) in enumerate(refused):
            if number < count:
                CURSES.refuse(self._service, record.id, failure)
            batch.verdict(record.id, failure if number < count else Failure.BROKER)
        if rest:
            self._queues[at] = rest
        else:
            del self._queues[at]

    async def _acknowledge_all(self) -> None:
        while True:
            await self._ack.wait()
            self._ack.clear()
            while self._written:
                await self._broker.world.turn(self._broker, f"answer to {self._actor.name}")
                written, self._written = self._written, []
                for record, batch in written:
                    batch.verdict(record, None)
