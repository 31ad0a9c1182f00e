"""A service in a process: its consumer, relay, workers and jobs on one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from dovecote import cleanup, intents, telemetry
from dovecote.consumer import ConsumerLoop
from dovecote.contracts import Contracts
from dovecote.database import Database, Voice
from dovecote.delivery import Courier, RetryPolicy
from dovecote.errors import SettingsError, is_environment
from dovecote.handlers import Handlers
from dovecote.intents import Worker
from dovecote.kafka import Admin, KafkaConsumer, KafkaProducer
from dovecote.reading import Reader
from dovecote.redrive import Redrive
from dovecote.relay import Relay
from dovecote.schedule import Job, JobContext, Scheduler
from dovecote.settings import App, CleanupSettings, Settings, topic_key

# A stop is over within 10 s: the consumer's batch gets 6, the relay's acknowledgements what is left.
CONSUMER_STOP_SECONDS = 6.0
CLOCK_EVERY = timedelta(seconds=30)
LOOP_LAG_SECONDS = 1.0


@dataclass(frozen=True)
class Blueprint:
    """What a service is; nothing in it runs yet. ``name`` is its consumer group and its name as a producer.

    ``resources`` are entered before its workers and jobs begin and left after they have ended: connections that they
    keep to the world outside.
    """

    name: str
    schema: str
    migrations: Path
    settings: Settings[Any]
    handlers: Handlers
    workers: Sequence[Worker[Any]] = ()
    jobs: Sequence[Job] = ()
    resources: Sequence[Callable[[], AbstractAsyncContextManager[object]]] = ()

    @property
    def app(self) -> App:
        """The ``app`` settings."""
        return self.settings.app  # type: ignore[no-any-return]

    def published(self, contracts: Contracts) -> list[str]:
        """The event types that the registry lets this service say."""
        return [name for name in contracts if contracts.entry(name).producer == self.name]

    def topic_of(self, contracts: Contracts, prefix: str = "") -> dict[str, str]:
        """The topic of every registered event, as this service is configured.

        Raises SettingsError for a key under ``app.kafka.topics`` that names no event.
        """
        named = self.app.kafka.topics
        keys = {topic_key(name): name for name in contracts}
        for key in named:
            if key not in keys:
                raise SettingsError(f"app.kafka.topics.{key} of {self.name} names no registered event.")
        return {name: prefix + named.get(topic_key(name), name) for name in contracts}


class Service:
    """A running service. ``prefix`` goes before its schema, topics and group (a demo's ``demo_<id>_``)."""

    def __init__(
        self,
        blueprint: Blueprint,
        *,
        database_url: str,
        bootstrap: str,
        contracts: Contracts,
        prefix: str = "",
        role: str | None = None,
    ) -> None:
        self.blueprint = blueprint
        self.group = prefix + blueprint.name
        self.schema = prefix + blueprint.schema
        self._url = database_url
        self._bootstrap = bootstrap
        self._role = role
        self.voice = Voice(blueprint.name, contracts, blueprint.topic_of(contracts, prefix))
        # Several events may share a topic by configuration.
        self.heard = list(dict.fromkeys(map(self.voice.topic, blueprint.handlers.event_types)))
        self.said = list(dict.fromkeys(map(self.voice.topic, blueprint.published(contracts))))
        self._reader = Reader(blueprint.handlers, value_bytes_max=blueprint.app.kafka.event_bytes_max)
        self._tasks: list[asyncio.Task[None]] = []
        self._consumer: ConsumerLoop | None = None
        self._consumer_task: asyncio.Task[None] | None = None
        self._database: Database | None = None
        self._resources = contextlib.AsyncExitStack()

    @property
    def database(self) -> Database:
        """The service's database, once it is connected."""
        assert self._database is not None, "the service is not connected"
        return self._database

    @functools.cached_property
    def _admin(self) -> Admin:
        return Admin(self._bootstrap)

    @property
    def redrive(self) -> Redrive:
        """Dead letters once more, for operators and the retry job."""
        return Redrive(self.database, self._reader, group=self.group, policy=self._policy)

    @property
    def _policy(self) -> RetryPolicy:
        retry = self.blueprint.app.dead_letter
        return RetryPolicy(retry.max_attempts, retry.first_delay, retry.max_delay)

    async def connect(self) -> None:
        """Open the database only: enough for operators' commands and HTTP."""
        if self._database is None:
            self._database = await Database.connect(self._url, schema=self.schema, voice=self.voice, role=self._role)

    async def start(self) -> None:
        """Create missing topics, check the retentions, and begin.

        Raises UnavailableError where the database or the broker is away, SettingsError for unsafe retentions.
        """
        kafka = self.blueprint.app.kafka
        await self.connect()
        self.database.lag = self.lag
        topics = [*self.said, *self.heard]
        await self._admin.ensure_topics(topics, partitions=kafka.partitions, replication=kafka.replication_factor)
        check_retention(self.blueprint.app.cleanup, await self._admin.retention_ms(self.heard))
        protocol = kafka.group_protocol
        if protocol == "auto":
            protocol = "consumer" if await self._admin.protocol() == "consumer" else "classic"
        for resource in self.blueprint.resources:
            await self._resources.enter_async_context(resource())
        self._begin(protocol)

    def _begin(self, protocol: str) -> None:
        app = self.blueprint.app
        relay = Relay(
            self.database,
            service=self.group,
            schema=self.schema,
            attempts_max=app.outbox.max_retry,
            producer=self._new_producer,
        )
        self._spawn("relay", relay.run)
        for loop in intents.loops(self.database, self.blueprint.workers):
            self._spawn("worker", loop.run)
        scheduler = Scheduler(JobContext(self.database, self.lag), [*self.blueprint.jobs, *self._own_jobs()])
        self._spawn("jobs", scheduler.run)
        self._spawn("clock", self._keep_time)
        if self.heard:
            courier = Courier(self.database, group=self.group, policy=self._policy)
            self._consumer = ConsumerLoop(
                self.database,
                self._reader,
                courier,
                group=self.group,
                join=functools.partial(self._new_member, protocol),
            )
            self._consumer_task = asyncio.create_task(self._forever("consumer", self._consumer.run))

    def _new_producer(self) -> KafkaProducer:
        return KafkaProducer(self._bootstrap, message_bytes_max=self.blueprint.app.kafka.event_bytes_max)

    def _new_member(self, protocol: str) -> KafkaConsumer:
        return KafkaConsumer(
            self._bootstrap,
            group=self.group,
            topics=self.heard,
            protocol=protocol,
            on_error=functools.partial(telemetry.offsets_dropped, self.group),
            gather_ms=self.blueprint.app.kafka.gather_millis,
        )

    def _own_jobs(self) -> list[Job]:
        async def retry(_context: JobContext) -> None:
            await self.redrive.due()

        async def clean(context: JobContext) -> None:
            await cleanup.clean(context.database, self.blueprint.app.cleanup)

        return [
            Job("dovecote-dead-letters", timedelta(seconds=2), retry),
            Job("dovecote-cleanup", self.blueprint.app.cleanup.fixed_delay, clean),
        ]

    def _spawn(self, what: str, run: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(self._forever(what, run)))

    async def _forever(self, what: str, run: Callable[[], Awaitable[None]]) -> None:
        """Start a loop again when it dies: a service with a dead consumer looks well and does nothing."""
        while True:
            try:
                await run()
            except Exception as error:  # noqa: BLE001 (a loop's edge)
                report = telemetry.waiting if is_environment(error) else telemetry.loop_died
                report(f"{what} of {self.group}", error)
                await asyncio.sleep(1.0)
            else:
                return

    async def _keep_time(self) -> None:
        loop = asyncio.get_running_loop()
        read_at = loop.time()
        while True:
            due = loop.time() + LOOP_LAG_SECONDS
            await asyncio.sleep(LOOP_LAG_SECONDS)
            telemetry.LOOP_LAG.set(loop.time() - due)
            if loop.time() - read_at > CLOCK_EVERY.total_seconds():
                await self.database.read_clock()
                read_at = loop.time()

    async def lag(self, event_types: Sequence[str] = ()) -> int:
        """Messages that the service's group has not handled yet, of some event types or of all it hears."""
        topics = list(dict.fromkeys(map(self.voice.topic, event_types))) or self.heard
        return await self._admin.lag(self.group, topics) if topics else 0

    def ready(self) -> bool:
        """Whether all loops of the service run."""
        tasks = [*self._tasks, *([self._consumer_task] if self._consumer_task else [])]
        return bool(tasks) and not any(task.done() for task in tasks)

    async def stop(self) -> None:
        """Stop in order within 10 s: finish the batch in hand, then workers and jobs, then what Kafka still acks."""
        if self._consumer is not None and self._consumer_task is not None:
            self._consumer.stop()
            await asyncio.wait([self._consumer_task], timeout=CONSUMER_STOP_SECONDS)
            await _end([self._consumer_task])
        # The relay was started first and is cancelled last, so that what the others said still leaves.
        await _end(self._tasks[1:])
        await _end(self._tasks[:1])
        self._tasks.clear()
        await self._resources.aclose()
        if self._database is not None:
            await self._database.close()
            self._database = None


def check_retention(settings: CleanupSettings, topic_retention_ms: int) -> None:
    """Refuse an inbox that forgets what can still be delivered again; -1 stands for topics that keep for ever."""
    longest = max(settings.outbox_failed_retention, timedelta(milliseconds=max(topic_retention_ms, 0)))
    if settings.dedup_retention < longest:
        raise SettingsError(
            f"app.cleanup.dedup-retention ({settings.dedup_retention}) must be at least {longest}, the longer of "
            "app.cleanup.outbox-failed-retention and the topics' retention.ms; else an event could act twice."
        )


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task
