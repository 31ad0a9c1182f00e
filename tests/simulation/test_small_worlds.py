"""Small worlds: every order of what can happen, each duplicate, crashes; and an explorer that is shown to explore."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator, Sequence

import pytest

from tests.simulation import ledger
from tests.simulation.command import core
from tests.simulation.server import own_server
from tests.simulation.small import command
from tests.simulation.small.command import Census, Scope, process
from tests.simulation.small.exploration import Branch, Tree, Walk
from tests.simulation.small.worker import Errand, Opening

JOBS = os.cpu_count() or 1
WRITES = ("INSERT", "UPDATE", "MOVE", "MARK", "NOTE", "SETTLE")  # but no leases: their times are drawn
State = tuple[dict[str, tuple[str, ...]], list[str]]  # what each service heard, and what can be heard


class Toy:
    """A toy world: what a service says after a message depends on all that it heard, and on nothing else."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        chance = random.Random(seed)
        self._services = chance.randint(1, 3)
        self.beginning: State = (
            {},
            [f"s{chance.randrange(self._services)}/m{number}" for number in range(chance.randint(1, 3))],
        )

    def after(self, state: State, choice: str) -> State:
        heard, possible = state
        service = choice.partition("/")[0]
        history = (*heard.get(service, ()), choice)
        said = self._said(service, history)
        known = {each for other in heard.values() for each in other} | set(possible)
        left = [each for each in possible if each != choice]
        return {**heard, service: history}, left + [each for each in said if each not in known]

    def _said(self, service: str, history: tuple[str, ...]) -> list[str]:
        chance = random.Random(f"{self._seed} {service} {history}")
        if len(history) > 3 or chance.random() < 0.5:
            return []
        return [f"s{chance.randrange(self._services)}/{history[-1].partition('/')[2]}.{service}"]

    def ends(self) -> set[object]:
        """All different ends, by trying everything."""
        found: set[object] = set()
        seen: set[object] = set()
        waiting = [self.beginning]
        while waiting:
            state = waiting.pop()
            heard = tuple(sorted(state[0].items()))
            if (heard, frozenset(state[1])) not in seen:
                seen.add((heard, frozenset(state[1])))
                if not state[1]:
                    found.add(heard)
                waiting += [self.after(state, choice) for choice in state[1]]
        return found


def _explored(toy: Toy, chance: random.Random) -> Iterator[object]:
    """The ends of the runs that are not redundant, whichever branch is run first."""
    tree, waiting = Tree(_commute), [Branch()]
    while waiting:
        walk, state = Walk(waiting.pop(chance.randrange(len(waiting))), _commute), toy.beginning
        while state[1] and (choice := walk.next(state[1])) is not None:
            state = toy.after(state, choice)
        waiting += tree.grow(walk.taken, walk.since)
        if not state[1]:
            yield tuple(sorted(state[0].items()))


def _commute(one: str, other: str) -> bool:
    return one.partition("/")[0] != other.partition("/")[0]


@pytest.fixture(scope="module")
def short() -> Census:
    """What CI runs."""
    return asyncio.run(command.explore(command.SHORT, jobs=JOBS))


def test_the_explorer_sees_every_end_once() -> None:
    """In 150 toy worlds, the explorer's runs end in exactly those states that trying everything finds, each once."""
    worlds = 0
    for seed in range(150):
        toy = Toy(seed)
        explored = list(_explored(toy, random.Random(seed)))
        assert len(explored) == len(set(explored)), f"toy {seed}: a world was run twice"
        assert set(explored) == toy.ends(), f"toy {seed}"
        worlds += len(explored)
    assert worlds > 500, "toys without races prove nothing"


@pytest.mark.timeout(600)
def test_no_small_world_breaks_an_invariant(short: Census) -> None:
    """In every order of a sale's events, of its troubles and of two orders for the last unit, the books are right."""
    assert [(found.world, found.violations) for found in short.wrong] == []
    assert short.left == 0


@pytest.mark.timeout(600)
def test_a_sale_has_as_many_worlds_as_one_can_count(short: Census) -> None:
    """Inventory hears order.created and payment.authorized in two orders, the order service payment.authorized and
    inventory.reserved in two: four worlds. Of its mails, four messages come in 4! orders. A message comes again after
    itself or after anything later in its service: 2 + 1 places in inventory, 3 + 2 + 1 in the order service, and in
    payment, where the provider answers twice between, 4 + 2; all that for each of two kinds of duplicate.
    """
    orders, duplicates, crashes = short.of("sale")
    assert orders == 2 * 2
    assert duplicates == 4 * ((2 + 1) + (3 + 2 + 1) + (4 + 2)) * 2
    assert crashes >= 40
    assert short.of("sale-mails")[0] == 4 * 3 * 2


def test_the_book_of_small_worlds_is_clean() -> None:
    """No scenario that was run to its end broke an invariant."""
    assert [entry.scenario for entry in ledger.wholes() if entry.violations] == []


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("scenario", ["declined", "out-of-stock"])
def test_no_world_of_a_whole_scenario_breaks_an_invariant(scenario: str) -> None:
    """Every order of events, each duplicate, a crash before each act."""
    census = asyncio.run(command.explore(Scope([scenario], [scenario], [scenario]), jobs=JOBS))
    assert [(found.world, found.violations) for found in census.wrong] == []
    assert min(census.of(scenario)) > 0


@pytest.mark.timeout(600)
async def test_a_crash_that_is_not_tried_is_another_one_again() -> None:
    """Of the acts of a sale before which no crash is tried, every ninth: each service writes the same rows, in the same
    order, as after the crash before it that is tried.
    """
    async with own_server() as url, process(Opening(url, "small_0", core(0))) as ask:
        sale = await ask(Errand("sale"))

        async def after(crash_at: int) -> dict[str, list[str]]:
            found = await ask(Errand("sale", Branch(sale.choices), crash_at=crash_at))
            return _lives(found.turns, crash_at)

        tried, untried = set(sale.deaths), []
        last: dict[str, int] = {}
        for number, turn in enumerate(sale.turns, start=1):
            service = turn.partition(":")[0]
            if number in tried:
                last[service] = number
            else:
                untried.append((number, last[service]))
        assert len(untried) > len(sale.turns) / 3
        for number, other in untried[::9]:
            assert await after(number) == await after(other), f"{sale.turns[number - 1]} is not as {other}"


def _lives(turns: Sequence[str], crash_at: int) -> dict[str, list[str]]:
    """What each service wrote; the one that died at that act, what it wrote from then on."""
    dead = turns[crash_at - 1].partition(":")[0]
    lives: dict[str, list[str]] = {}
    for number, turn in enumerate(turns, start=1):
        service, _, what = turn.partition(": ")
        if what.startswith(WRITES) and (service != dead or number > crash_at):
            lives.setdefault(service, []).append(what)
    return lives


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("row", "scenario"), [("G2", "cancelled"), ("C6", "sale")])
def test_a_bug_made_on_purpose_is_found(row: str, scenario: str) -> None:
    """Not right are the same worlds where an early end leaves no tombstone (an order of events finds it), and where
    offsets go before the effect (a crash does)."""
    scope = Scope([scenario], [], [scenario], whole=False)
    assert asyncio.run(command.explore(scope, jobs=JOBS, bug=row, stop_at_violation=True)).wrong
