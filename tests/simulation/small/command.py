"""All small worlds on several processes: what `./ecom simulate --small` does, and what the tests use."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec

from tests.simulation.command import LINE_BYTES_MAX, ROOT, core
from tests.simulation.server import own_server
from tests.simulation.small.choice import AGAIN, COPY, is_duplicate, is_message
from tests.simulation.small.exploration import Branch, Tree
from tests.simulation.small.scenario import SCENARIOS
from tests.simulation.small.worker import Errand, Found, Opening

KINDS = ("order", "duplicate", "crash")
CRASH = "crash/"


@dataclass(slots=True)
class Census:
    """How many worlds were seen, and which were wrong."""

    worlds: Counter[tuple[str, str]] = field(default_factory=Counter)  # by scenario and kind
    redundant: int = 0  # runs that ended early because their world was another one's
    wrong: list[Found] = field(default_factory=list)
    seconds: float = 0.0
    left: int = 0  # errands that were not run, where the time was over or a violation was enough

    def note(self, found: Found) -> None:
        if found.is_redundant:
            self.redundant += 1
        else:
            self.worlds[found.errand.scenario, found.errand.kind] += 1
        if found.violations:
            self.wrong.append(found)

    def of(self, scenario: str) -> tuple[int, ...]:
        """A scenario's worlds by kind."""
        return tuple(self.worlds[scenario, kind] for kind in KINDS)


@dataclass(frozen=True, slots=True)
class Scope:
    """How much is explored: whose orders, duplicates and crashes."""

    orders: Collection[str] = tuple(SCENARIOS)
    duplicates: Collection[str] = tuple(SCENARIOS)
    crashes: Collection[str] = tuple(SCENARIOS)
    whole: bool = True  # a crash before every act in every order; else before the first of each kind in the first order


# What fits into CI.
SHORT = Scope(
    (
        "sale",
        "declined",
        "out-of-stock",
        "capture-declined",
        "silent",
        "late",
        "cancelled",
        "cancelled-declined",
        "deadline",
        "last-unit",
        "sale-mails",
        "declined-mails",
    ),
    duplicates=("sale",),
    crashes=("sale",),
    whole=False,
)


class Plan:
    """What is still to be run: each run may show more of its tree, and has its duplicates and crashes."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._trees: dict[tuple[str, str], Tree] = {}

    def roots(self) -> list[Errand]:
        """Where the exploration begins."""
        return [Errand(name) for name in self._scope.orders]

    def further(self, found: Found) -> Iterator[Errand]:
        """What a run leads to."""
        errand = found.errand
        if errand.crash_at:
            return
        tree = self._tree(errand.scenario, errand.duplicate)
        for branch in tree.grow(found.choices, found.since):
            yield msgspec.structs.replace(errand, branch=branch)
        if errand.duplicate or found.is_redundant:
            return
        if errand.scenario in self._scope.duplicates:
            yield from self._duplicates(found)
        if errand.scenario in self._scope.crashes:
            yield from self._crashes(found)

    def _tree(self, scenario: str, duplicate: str) -> Tree:
        return self._trees.setdefault((scenario, duplicate), Tree())

    def _duplicates(self, found: Found) -> Iterator[Errand]:
        """Each message that comes in some order may come twice: a tree of its own."""
        for choice in found.choices:
            for duplicate in (f"{AGAIN}/{choice}", f"{COPY}/{choice}"):
                if is_message(choice) and (found.errand.scenario, duplicate) not in self._trees:
                    self._tree(found.errand.scenario, duplicate)
                    yield Errand(found.errand.scenario, duplicate=duplicate)

    def _crashes(self, found: Found) -> Iterator[Errand]:
        """Before each act of each process, but once where several lead to the same world; who has no message chosen
        crashes in the first world alone, for the orders are not its own. In short, before the first act of each kind.
        """
        errand = found.errand
        is_first = not errand.branch.choices
        if not self._scope.whole and not is_first:
            return
        seen: set[str] = set()
        for number, turn in enumerate(found.turns, start=1):
            is_chosen = is_first or turn.partition(":")[0] in SCENARIOS[errand.scenario].chosen
            if (number in found.deaths and is_chosen) if self._scope.whole else turn not in seen:
                seen.add(turn)
                yield Errand(errand.scenario, Branch(found.choices), crash_at=number)


class Stock:
    """Errands that wait, and whether more may come."""

    def __init__(self, errands: Sequence[Errand]) -> None:
        self._waiting = list(errands)
        self._under_way = 0
        self._news = asyncio.Condition()
        self._is_closed = False

    @property
    def left(self) -> int:
        return len(self._waiting) + self._under_way

    async def take(self) -> Errand | None:
        """The next errand, None where no more will come."""
        async with self._news:
            await self._news.wait_for(lambda: self._is_closed or self._waiting or not self._under_way)
            if self._is_closed or not self._waiting:
                return None
            self._under_way += 1
            return self._waiting.pop()

    async def done(self, further: Sequence[Errand], *, is_enough: bool) -> None:
        """An errand is done and leads to others."""
        async with self._news:
            self._under_way -= 1
            self._waiting.extend(reversed(further))
            self._is_closed = self._is_closed or is_enough
            self._news.notify_all()


async def explore(
    scope: Scope,
    *,
    jobs: int = 1,
    bug: str = "",
    stop_at_violation: bool = False,
    seconds_max: float | None = None,
    told: Callable[[Found], None] = lambda _found: None,
) -> Census:
    """Run every world of a scope; stops early where the time is over, or at the first violation if asked."""
    census, plan = Census(), Plan(scope)
    stock = Stock(plan.roots())

    async def work(opening: Opening) -> None:
        async with process(opening) as ask:
            while (errand := await stock.take()) is not None:
                found = await ask(errand)
                census.note(found)
                told(found)
                await stock.done(list(plan.further(found)), is_enough=bool(found.violations) and stop_at_violation)

    async with own_server() as url:
        began = time.monotonic()
        try:
            async with asyncio.timeout(seconds_max), asyncio.TaskGroup() as group:
                for job in range(jobs):
                    group.create_task(work(Opening(url, f"small_{job}", core(job), bug)))
        except TimeoutError:
            pass
        finally:
            census.seconds, census.left = time.monotonic() - began, stock.left
    return census


async def replay(world: str, *, bug: str = "") -> Found:
    """Run the world of that name once more. Raises ValueError for a name that is none."""
    scenario, _, names = world.partition(":")
    if scenario not in SCENARIOS:
        raise ValueError(f"There is no small world {scenario!r}; there are {', '.join(SCENARIOS)}.")
    choices = [name for name in names.split(",") if name]
    crash_at = 0
    if choices and choices[-1].startswith(CRASH):
        number = choices.pop().removeprefix(CRASH)
        if not number.isdecimal():
            raise ValueError(f"A crash is named by the number of the act before which it comes, not {number!r}.")
        crash_at = int(number)
    duplicate = next(filter(is_duplicate, choices), "")
    async with own_server() as url, process(Opening(url, "small_0", core(0), bug)) as ask:
        return await ask(
            Errand(scenario, Branch(tuple(choices)), duplicate=duplicate, crash_at=crash_at, is_shown=True)
        )


@asynccontextmanager
async def process(opening: Opening) -> AsyncIterator[Callable[[Errand], Awaitable[Found]]]:
    """A process that runs the worlds it is asked for. The same world is the same run in each."""
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.simulation.small.worker",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES_MAX,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    assert running.stdin is not None and running.stdout is not None
    stdin, stdout = running.stdin, running.stdout
    stdin.write(msgspec.json.encode(opening) + b"\n")

    async def ask(errand: Errand) -> Found:
        stdin.write(msgspec.json.encode(errand) + b"\n")
        await stdin.drain()
        line = await stdout.readline()
        if not line:
            raise RuntimeError(f"A process of the small worlds ended with {await running.wait()}.")
        return msgspec.json.decode(line, type=Found)

    try:
        yield ask
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
