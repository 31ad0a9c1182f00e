"""One simulated shop: its processes, its world outside, and what can befall them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dovecote import outbox
from dovecote.contracts import Contracts
from dovecote.events import Cause
from dovecote.kafka import Failure
from dovecote.service import Blueprint
from ecom.inventory.store import put_stock
from tests.simulation.broker import Broker
from tests.simulation.curse import CURSES
from tests.simulation.mix import Mix
from tests.simulation.node import Node
from tests.simulation.outside import Provider, SimulatedPostman
from tests.simulation.people import Journal, Person
from tests.simulation.server import Server
from tests.simulation.session import Fate, Sessions, SimulatedSession
from tests.simulation.world import World

if TYPE_CHECKING:
    from tests.simulation.watch import Left

HEALED_BATCH = 24  # messages a poll, at most: fewer and larger batches bring a run to rest in fewer steps
SHOP = ("order", "payment", "inventory", "notification")


@dataclass(slots=True)
class Shop:
    """Everything of one run."""

    world: World
    mix: Mix
    server: Server
    blueprints: Mapping[str, Blueprint]
    contracts: Contracts
    provider: Provider
    postman: SimulatedPostman
    sessions: Sessions = field(init=False)
    broker: Broker = field(init=False)
    nodes: list[Node] = field(default_factory=list)
    journal: Journal = field(default_factory=Journal)
    requests: list[asyncio.Future[Any]] = field(default_factory=list)
    poison: dict[tuple[str, int, int], str] = field(default_factory=dict)  # topic, partition, offset → kind
    products: dict[str, tuple[int, Any]] = field(default_factory=dict)  # product → last version and its price
    expired: set[str] = field(default_factory=set)  # orders whose holds were seen EXPIRED
    left: Sequence[Left] | None = None  # see watch.left
    is_healed: bool = False
    _born: dict[str, int] = field(default_factory=dict)
    _tasks: list[asyncio.Task[Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.world, self.server)
        self.broker = Broker(self.world)
        CURSES.begin()
        self.provider.open(self.world)
        self.provider.slow = self.mix.provider_slow
        trouble = self.provider.trouble
        trouble.unavailable, trouble.answer_lost = self.mix.provider_away, self.mix.provider_silent
        trouble.late = self.mix.provider_late
        self.postman.open(self.world)
        self.postman.refuses = self.mix.mail_refuses

    # -- processes ------------------------------------------------------------------------------------------------

    def start(self, short: str) -> None:
        """A new process of a service."""
        self._born[short] = self._born.get(short, 0) + 1
        node = Node(
            f"{short}-{self._born[short]}",
            short,
            world=self.world,
            broker=self.broker,
            sessions=self.sessions,
            blueprint=self.blueprints[short],
            contracts=self.contracts,
            fail=self._kafka_failure,
            tidies=self.mix.tidies,
        )
        self.nodes.append(node)
        self.spawn(node.start())

    def spawn(self, work: Any) -> asyncio.Task[Any]:
        """Something that goes on by itself; its end by an error ends the run."""
        task = self.world.loop.create_task(work)
        task.add_done_callback(self._note_end)
        self._tasks.append(task)
        return task

    def _note_end(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.world.failure = self.world.failure or task.exception()

    def of(self, short: str) -> list[Node]:
        """The processes of a service that are not dead."""
        return [node for node in self.nodes if node.short == short and not node.is_dead]

    def living(self, short: str) -> list[Node]:
        """Those that answer."""
        return [node for node in self.of(short) if not node.sleeps and node.service._database is not None]

    # -- what befalls them ----------------------------------------------------------------------------------------

    def trouble(self) -> None:
        """From here on things go wrong inside, as the mix says; the world outside was never calm."""
        mix = self.mix
        self.sessions.decide = self._fate
        self.broker.commit_is_lost = mix.commits_lost
        self.broker.takes_late_commits = mix.late_commits

    def heal(self) -> None:
        """Everything works again: the frozen go on, the dead are replaced, the provider and Kafka answer."""
        self.is_healed = True
        self.world.jump = self.world.farthest
        self.sessions.decide = lambda _session, _what: Fate.COMMON
        self.sessions.loses_notices = False
        self.broker.commit_is_lost = 0.0
        self.broker.sleeps = False
        self.broker.batch_max = HEALED_BATCH
        trouble = self.provider.trouble
        trouble.unavailable = trouble.answer_lost = trouble.late = 0.0
        self.postman.refuses = 0.0
        for node in self.nodes:
            node.sleeps = False
        for short in SHOP:
            if not self.of(short):
                self.start(short)

    def _fate(self, _session: SimulatedSession, _what: str) -> str:
        draw = self.world.chance.random()
        if draw < self.mix.lost_before:
            return Fate.LOST_BEFORE
        return Fate.LOST_AFTER if draw < self.mix.lost_before + self.mix.lost_after else Fate.COMMON

    def _kafka_failure(self) -> Failure | None:
        if self.is_healed or self.world.chance.random() >= self.mix.kafka_fails:
            return None
        return self.world.chance.choice(
            (Failure.BROKER, Failure.BROKER, Failure.TOPIC, Failure.OTHER, Failure.RECORD, Failure.FATAL)
        )

    # -- people ---------------------------------------------------------------------------------------------------

    async def stock_up(self, counts: Sequence[tuple[str, int]]) -> None:
        """Somebody counts the shelves."""
        person = Person(self, "storekeeper")

        async def put(database: Any) -> None:
            async with database.transaction() as tx:
                await put_stock(tx, list(counts), because=Cause(f"{self.world.chance.getrandbits(128):032x}"))

        await person.insist("inventory", "counts the shelves", put)

    async def replay(self, short: str) -> None:
        """Two operators replay what FAILED, at once."""
        people = [Person(self, "operator 1"), Person(self, "operator 2")]
        await asyncio.gather(*(person.insist(short, "replays", outbox.replay_failed) for person in people))

    async def redrive(self, short: str, number: int) -> None:
        """Two operators redrive a dead letter, at once."""

        async def once(person: Person) -> None:
            nodes = self.living(short)
            if nodes:
                redrive = nodes[0].service.redrive
                await person.insist(short, "redrives", lambda _database: redrive.one(number))

        await asyncio.gather(*(once(Person(self, f"operator {each}")) for each in (1, 2)))

    async def close(self) -> None:
        """Let go of everything: nobody runs after the run."""
        for node in self.nodes:
            node.is_dead = True
        for node in self.nodes:
            for session in self.sessions.of(node):
                session.lose()
