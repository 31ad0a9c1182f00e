"""One small world from its first order to its verdict: everything runs in one fixed order, but for what is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from dovecote.service import Blueprint
from tests.simulation.node import Node
from tests.simulation.outside import Provider
from tests.simulation.people import Customer
from tests.simulation.run import Phase, Run, Stage
from tests.simulation.small.broker import GatedBroker, Hearing
from tests.simulation.small.choice import AGAIN, original
from tests.simulation.small.exploration import Strayed
from tests.simulation.small.scenario import Scenario
from tests.simulation.world import Turn

SEED = 1
GROUP = "-service"


class Guide(Protocol):
    """Who chooses."""

    taken: list[str]

    def next(self, possible: list[str]) -> str | None:
        """One of the possible choices; None to end the run."""

    def rest(self) -> None:
        """Nothing is possible now, and time passes."""


class SmallRun(Run):
    """A world in which nothing is left to chance."""

    def __init__(
        self,
        stage: Stage,
        services: Mapping[str, Blueprint],
        scenario: Scenario,
        guide: Guide,
        *,
        duplicate: str = "",
        crash_at: int = 0,
    ) -> None:
        super().__init__(stage, services, SEED, scenario.mix())
        self._scenario = scenario
        self._guide = guide
        self._duplicate = duplicate  # which message is to come once more; empty once it has
        self._crash_at = crash_at
        self._moments = dict(scenario.moments)
        self._broker = GatedBroker(self._world, {short + GROUP for short in scenario.chosen})
        self._shop.broker = self._broker
        self._shop.is_healed = True
        self._phase = Phase.HEALED
        if scenario.trouble:
            setattr(self._shop.provider.trouble, scenario.trouble, 1.0)
        self._is_open = False  # customers may come
        self.turns: list[str] = []  # what each process did since then, statement by statement
        self.deaths: list[int] = []  # before which of these a crash leads to a world of its own, counted from 1
        self._outside = [0, 0]  # turns that others than the processes took, and the last that they were asked to take
        self._outlived: dict[str, tuple[object, ...]] = {}  # how things stood when each process could last have died
        self.is_redundant = False  # it ended early, for it is another world once more

    @property
    def lacks_duplicate(self) -> bool:
        """Whether the message that was to come twice never came."""
        return bool(self._duplicate)

    def _go_on(self) -> None:
        ready = self._world.ready()
        self._outside[1] = max([self._outside[1], *(_age(turn) for turn in ready if not isinstance(turn.actor, Node))])
        held = {self._name_of(turn): turn for turn in reversed(ready) if self._is_chosen(turn)}
        free = [turn for turn in ready if not self._is_chosen(turn)]
        if not self._is_open:  # no customer comes before all is quiet
            free = [turn for turn in free if not isinstance(turn.actor, Customer)]
            if not free and (customers := [turn for turn in ready if isinstance(turn.actor, Customer)]):
                self._is_open, free = True, customers
        if free:
            self._act(min(free, key=_age))
        elif choices := self._choices(held):
            self._decide(choices)
        else:
            self._guide.rest()
            if not self._rest():
                self._end(["I24: nothing can happen any more, and there is no rest"])

    def _act(self, turn: Turn) -> None:
        """Whose turn it is does one thing, or dies before it."""
        node = turn.actor
        if not isinstance(node, Node):
            self._outside[0] += 1
        elif self._is_open:
            self.turns.append(f"{node.short}: {turn.what}")
            self._note_death(node)
            if len(self.turns) == self._crash_at:
                self._say(f"{node.name} dies before: {turn.what}")
                node.crash()
                self._shop.start(node.short)
                return
        self._world.grant(turn)

    def _note_death(self, node: Node) -> None:
        """Two crashes of a process lead to one world where nothing came between them that outlives it: no end of a
        transaction of its own, nothing asked of Kafka, the provider or the mail server, no time and no choice.
        """
        outlives = (
            self._shop.sessions.ended[node.name],
            *self._outside,
            self._world.loop.time(),
            len(self._guide.taken),
        )
        if self._outlived.get(node.name) != outlives:
            self._outlived[node.name] = outlives
            self.deaths.append(len(self.turns))

    # -- choices --------------------------------------------------------------------------------------------------

    def _is_chosen(self, turn: Turn) -> bool:
        """Whether a turn waits to be chosen: the provider's answers, a customer's change of mind."""
        if isinstance(turn.actor, Provider):
            return "payment" in self._scenario.chosen
        return isinstance(turn.actor, Customer) and turn.what == "cancels"

    def _choices(self, held: dict[str, Turn]) -> dict[str, Callable[[], None]]:
        """All that can happen now, by name, oldest first; duplicates last, and alone where nothing else is left."""
        choices: dict[str, Callable[[], None]] = {}
        for name, turn in sorted(held.items(), key=lambda item: _age(item[1])):
            choices[name] = lambda turn=turn: self._world.grant(turn)  # type: ignore[misc]
        later: dict[str, Callable[[], None]] = {}
        for hearing in self._broker.waiting():
            named = later if hearing[1:] in self._broker.copies else choices
            named[self._hearing(hearing)] = lambda hearing=hearing: self._broker.let_hear(hearing)  # type: ignore[misc]
        for name in self._moments:
            choices[name] = lambda name=name: self._moments.pop(name).happen(self._shop)  # type: ignore[misc]
        if self._duplicate:
            for hearing in self._broker.heard():
                if self._hearing(hearing) == original(self._duplicate):
                    choices[self._duplicate] = lambda hearing=hearing: self._repeat(hearing)  # type: ignore[misc]
        return choices or dict(list(later.items())[:1])

    def _decide(self, choices: dict[str, Callable[[], None]]) -> None:
        try:
            name = self._guide.next(list(choices))
        except Strayed as error:
            self._end([f"error: {error}"])
            return
        if name is None:
            self.is_redundant = True
            self._end([])
            return
        self._say(f"chosen: {name}")
        choices[name]()
        self._calm_provider()

    def _repeat(self, hearing: Hearing) -> None:
        again = self._duplicate.startswith(AGAIN)
        self._duplicate = ""
        (self._broker.deliver_again if again else self._broker.write_again)(hearing)

    def _calm_provider(self) -> None:
        """Trouble is over once it has struck."""
        provider = self._shop.provider
        if provider.is_busy or provider.entries:
            provider.trouble = type(provider.trouble)()

    def _name_of(self, turn: Turn) -> str:
        if isinstance(turn.actor, Customer):
            return self._of_order("order/cancel", turn.actor.name[-1:])
        what = turn.what.removeprefix("does at last ")
        verb = "look-up" if what.startswith("look up") else what.partition(":")[0]
        return self._of_order(f"payment/provider.{verb}", str(self._broker.order(what[-4:])))

    def _hearing(self, hearing: Hearing) -> str:
        group, (topic, partition), offset = hearing
        name = f"{group.removesuffix(GROUP)}/{topic.removesuffix('.v1')}" + (f"+{offset}" if offset else "")
        return self._of_order(name, str(partition + 1))

    def _of_order(self, name: str, number: str) -> str:
        return name if number == "1" else f"{name}-{number}"


def _age(turn: Turn) -> int:
    return turn.order[1]
