"""One run of one seed: calm, then faults, then everything heals and must come to rest with the books in order."""

from __future__ import annotations

import asyncio
import random
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from dovecote import ids
from dovecote.contracts import Contracts
from dovecote.service import Blueprint
from ecom.contracts import CONTRACTS
from ecom.inventory import service as inventory
from ecom.notification import service as notification
from ecom.order import service as order
from ecom.payment import service as payment
from tests.simulation import bugs, rest, watch
from tests.simulation.faults import FAULTS
from tests.simulation.loop import SimulatedLoop
from tests.simulation.mix import Mix, draw
from tests.simulation.outside import Provider, SimulatedPostman
from tests.simulation.people import Customer
from tests.simulation.server import Server
from tests.simulation.settings import ENVIRON, HASTY
from tests.simulation.shop import SHOP, Shop
from tests.simulation.trace import Trace
from tests.simulation.wire import POLL
from tests.simulation.world import Stuck, Turn, World

STEPS_MAX = 6000


class Phase(Enum):
    """Where a run stands."""

    CALM = "calm"
    FAULTS = "faults"
    HEALED = "healed"
    ASKING = "the books are compared"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a run."""

    seed: int
    violations: tuple[str, ...]
    steps: int
    orders: int
    trace: Trace

    @property
    def is_clean(self) -> bool:
        return not self.violations


class Stage:
    """What the runs of one process share: the loop, the server, the services as their configuration wants them."""

    def __init__(self, loop: SimulatedLoop, server: Server, provider: Provider, postman: SimulatedPostman) -> None:
        self.loop = loop
        self.server = server
        self.provider = provider
        self.postman = postman
        self.contracts = Contracts.load(CONTRACTS)
        self.blueprints = blueprints(provider, postman)
        self.hasty = {"inventory": inventory.build({**ENVIRON, **HASTY}).blueprint}

    def run(self, seed: int, bug: str = "") -> Verdict:
        """One run, from an empty shop to its verdict; with a bug, where one is named."""
        random.seed(seed)
        ids.reseed(seed)
        self.server.clear()
        with bugs.switched_on(bug):
            services = blueprints(self.provider, self.postman) if bug else self.blueprints  # a bug may be built in
            return Run(self, services, seed, draw(seed)).to_the_end()


def blueprints(provider: Provider, postman: SimulatedPostman) -> Mapping[str, Blueprint]:
    """The four services of the saga."""
    return {
        "order": order.build(ENVIRON).blueprint,
        "payment": payment.build(ENVIRON, provider=provider).blueprint,
        "inventory": inventory.build(ENVIRON).blueprint,
        "notification": notification.build(ENVIRON, postman=postman).blueprint,
    }


class Run:
    """Decides, whenever nothing can go on by itself, what happens next."""

    def __init__(self, stage: Stage, services: Mapping[str, Blueprint], seed: int, mix: Mix) -> None:
        self._loop = stage.loop
        self._world = World(stage.loop, seed)
        if mix.hasty:
            services = {**services, **stage.hasty}
        self._shop = Shop(self._world, mix, stage.server, services, stage.contracts, stage.provider, stage.postman)
        self._mix = mix
        self._phase = Phase.CALM
        self._steps = 0
        self._steps_of_phase = 0
        self._violations: list[str] = []
        self._is_asked = False

    def to_the_end(self) -> Verdict:
        self._loop.obey(self._world)
        self._world.choose = self._choose
        try:
            self._loop.run_until_complete(self._live())
        finally:
            self._loop.obey(None)
        return Verdict(self._world.seed, tuple(self._violations), self._steps, len(self._mix.orders), self._world.trace)

    async def _live(self) -> None:
        self._over: asyncio.Future[None] = self._loop.create_future()
        for short in SHOP:
            for _ in range(self._mix.replicas[short]):
                self._shop.start(short)
        self._shop.spawn(self._people())
        await self._over
        self._world.is_over = True
        await self._shop.close()
        kept = {asyncio.current_task(), *self._world.errands}
        left = [task for task in asyncio.all_tasks() if task not in kept]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.gather(*self._world.errands)

    async def _people(self) -> None:
        await self._shop.stock_up(list(self._mix.stock.items()))
        for number, wish in enumerate(self._mix.orders, start=1):
            self._shop.spawn(Customer(self._shop, number, wish).live())

    # -- what happens next ----------------------------------------------------------------------------------------

    def _choose(self) -> None:
        if self._phase is Phase.OVER:
            if not self._world.pass_time():
                raise Stuck("something does not end after the run")
            return
        if self._world.failure is not None:
            self._end(["error: " + "".join(traceback.format_exception(self._world.failure))])
            return
        sessions = self._shop.sessions
        if sessions.is_changed:
            sessions.is_changed = False
            if found := watch.always(self._shop):
                self._end(found)
                return
        self._steps += 1
        self._steps_of_phase += 1
        if self._steps > STEPS_MAX:
            self._end([f"I24: no rest after {STEPS_MAX} steps: {', '.join(watch.unrest(self._shop))}"])
            return
        self._change_phase()
        if self._phase is Phase.FAULTS and self._world.chance.random() < self._mix.faults and self._mix.actions:
            self._harm()
        else:
            self._go_on()

    def _change_phase(self) -> None:
        if self._phase is Phase.CALM and self._steps_of_phase > self._mix.calm_steps:
            self._phase, self._steps_of_phase = Phase.FAULTS, 0
            self._shop.trouble()
            self._say("faults begin")
        elif self._phase is Phase.FAULTS and self._steps_of_phase > self._mix.steps:
            self._phase, self._steps_of_phase = Phase.HEALED, 0
            self._shop.heal()
            self._say("everything heals")

    def _harm(self) -> None:
        names, weights = zip(*self._mix.actions.items(), strict=True)
        [name] = self._world.chance.choices(names, weights)
        self._say(f"fault: {name}")
        FAULTS[name](self._shop)

    def _go_on(self) -> None:
        ready = self._world.ready()
        hastes = self._phase is Phase.FAULTS and self._world.chance.random() < self._mix.haste
        if ready and not (hastes and self._world.pass_time()):
            self._world.grant(self._next(ready))
        elif not ready and not self._rest():
            self._end(["I24: nothing can happen any more, and there is no rest"])

    def _next(self, ready: Sequence[Turn]) -> Turn:
        """Anyone; but healed, a poll comes last, so that it finds much and the run comes to rest in fewer steps."""
        if self._phase is Phase.HEALED:
            ready = [turn for turn in ready if turn.what != POLL] or ready
        return self._world.chance.choice(ready)

    def _rest(self) -> bool:
        """Nobody can go on: let time pass, or, healed and at rest, compare the books. False where neither helps."""
        if self._phase is Phase.HEALED and rest.mend(self._shop):
            return True
        if self._phase is Phase.HEALED and not watch.unrest(self._shop):
            self._phase = Phase.ASKING
            self._world.errand(self._ask())
            return True
        if self._phase is Phase.CALM and not watch.unrest(self._shop):
            self._steps_of_phase = self._mix.calm_steps  # all is done: nothing more would be seen of it
        return self._world.pass_time()

    async def _ask(self) -> None:
        self._end(await rest.violations(self._shop))

    def _end(self, violations: list[str]) -> None:
        self._violations = violations
        self._phase = Phase.OVER
        for line in violations:
            self._say(f"VIOLATION {line}")
        if not self._over.done():
            self._over.set_result(None)

    def _say(self, what: str) -> None:
        self._world.trace.add(self._world.loop.time(), "--", what)
