"""A process of the shop: one service with its loops, on simulated time, sessions and Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from dovecote import leadership, relay, term
from dovecote.clock import Clock
from dovecote.contracts import Contracts
from dovecote.database import Database
from dovecote.intents import WorkerLoop
from dovecote.kafka import Failure, KafkaConsumer, KafkaProducer
from dovecote.schedule import Job
from dovecote.service import Blueprint, Service
from tests.simulation.broker import Broker
from tests.simulation.pool import SimulatedPool
from tests.simulation.session import Sessions
from tests.simulation.wire import Member, Producer
from tests.simulation.world import World

# Jobs and polls come less often than in production: what they find is the same, and a run has fewer empty turns.
JOB_EVERY = timedelta(seconds=20)
# What is old goes, what is there is counted: the most frequent jobs of all, and few runs need them.
TIDYING = ("-cleanup", "-forget", "-metrics")
CLOCK_EVERY_SECONDS = 20.0


def slow_down() -> None:
    """Make every poll of the library rare, for this process and for good: wake-ups do the work, polls the rest."""
    WorkerLoop.POLL_SECONDS = 16.0
    term.POLL_SECONDS = 14.0
    term.BEAT_SECONDS = 12.0  # type: ignore[attr-defined]  # the names as these modules took them over
    leadership.STALE_AFTER = timedelta(seconds=32)
    term.SETTLE_SECONDS = 22.0  # type: ignore[attr-defined]
    relay.TRY_SECONDS = 10.0  # type: ignore[attr-defined]


class SimulatedDatabase(Database):
    """A database whose sessions are the simulation's."""

    sessions: Sessions
    actor: Node
    schema: str

    async def direct(self) -> Any:
        return await self.sessions.open(self.actor, self.schema)


class SimulatedService(Service):
    """A service that takes its sessions, its time and its Kafka from the simulation."""

    def __init__(self, node: Node, blueprint: Blueprint, contracts: Contracts) -> None:
        super().__init__(blueprint, database_url="", bootstrap="", contracts=contracts)
        self._node = node

    async def connect(self) -> None:
        node = self._node
        database = SimulatedDatabase(
            SimulatedPool(node.sessions, node, self.schema),
            url="",
            settings={},
            voice=self.voice,
            clock=Clock(node.world.loop.time),
        )
        database.sessions, database.actor, database.schema = node.sessions, node, self.schema
        self._database = database
        database.clock.set(node.world.now, asked=node.world.loop.time())

    async def start(self) -> None:
        await self.connect()
        self.database.lag = self.lag
        self._begin("classic")

    async def lag(self, event_types: Sequence[str] = ()) -> int:
        topics = list(map(self.voice.topic, event_types)) or self.heard
        await self._node.world.turn(self._node, "lag")
        self._node.paid_when_asked = self._node.broker.keys("payment.authorized.v1")
        return self._node.broker.lag(self.group, topics)

    def _new_producer(self) -> KafkaProducer:
        return Producer(self._node.broker, self._node, self.blueprint.name, self._node.fail)  # type: ignore[return-value]

    def _new_member(self, protocol: str) -> KafkaConsumer:
        return Member(self._node.broker, self._node, group=self.group, topics=self.heard)

    def _own_jobs(self) -> list[Job]:
        return self._node.jobs(super()._own_jobs())

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(CLOCK_EVERY_SECONDS)
            self.database.clock.set(self._node.world.now, asked=self._node.world.loop.time())


class Node:
    """An actor: one replica of one service. It may freeze, wake, and crash."""

    def __init__(
        self,
        name: str,
        short: str,
        *,
        world: World,
        broker: Broker,
        sessions: Sessions,
        blueprint: Blueprint,
        contracts: Contracts,
        fail: Callable[[], Failure | None],
        tidies: bool,
    ) -> None:
        self.name = name
        self.short = short
        self.sleeps = False
        self.is_dead = False
        self.paid_when_asked: frozenset[str] = frozenset()  # orders, when the lag was last asked
        self.world = world
        self.broker = broker
        self.sessions = sessions
        self.fail = fail
        self._tidies = tidies
        self.service = SimulatedService(self, replace(blueprint, jobs=self.jobs(blueprint.jobs)), contracts)

    @property
    def database(self) -> Database:
        """The service's database, as this replica sees it."""
        return self.service.database

    def jobs(self, jobs: Sequence[Job]) -> list[Job]:
        """A service's jobs as they are here: rarer, and without those that only tidy where nobody does."""
        return [
            replace(job, every=max(job.every, JOB_EVERY))
            for job in jobs
            if self._tidies or not job.name.endswith(TIDYING)
        ]

    async def start(self) -> None:
        await self.service.start()

    def crash(self) -> None:
        """Die on the spot: no line of code runs any more, sessions end, the group notices."""
        self.is_dead = True
        for session in self.sessions.of(self):
            session.lose()
        for group in self.broker.groups.values():
            for member in [each for each in group.members if each.actor is self]:
                self.broker.leave(member)
