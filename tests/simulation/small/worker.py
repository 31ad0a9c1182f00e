"""A process that runs small worlds: an errand a line on standard input, what came of it a line on standard output."""

from __future__ import annotations

import gc
import random
import sys
import traceback
from collections.abc import Iterator

import msgspec

from dovecote import ids, term
from tests.simulation import bugs
from tests.simulation.run import Stage, blueprints
from tests.simulation.small.exploration import Branch, Path, Walk
from tests.simulation.small.run import SEED, SmallRun
from tests.simulation.small.scenario import SCENARIOS
from tests.simulation.worker import REWRITE_EVERY, TRACE_LINES, stage


class Opening(msgspec.Struct, frozen=True):
    """Where a process works, and with which bug."""

    url: str
    database: str
    core: int
    bug: str = ""


class Errand(msgspec.Struct, frozen=True):
    """A world to be run: a branch of a scenario's tree; with a crash, the choices are kept as far as may be."""

    scenario: str
    branch: Branch = Branch()
    duplicate: str = ""
    crash_at: int = 0
    is_shown: bool = False  # its trace is wanted, also where nothing is wrong

    @property
    def kind(self) -> str:
        """What is special about it."""
        return "crash" if self.crash_at else "duplicate" if self.duplicate else "order"


class Found(msgspec.Struct, frozen=True):
    """What came of an errand. ``since``: of each choice, after how many it was possible, and whether it needed all."""

    errand: Errand
    choices: tuple[str, ...] = ()
    violations: tuple[str, ...] = ()
    is_redundant: bool = False
    since: tuple[tuple[int, bool], ...] = ()
    turns: tuple[str, ...] = ()
    deaths: tuple[int, ...] = ()
    steps: int = 0
    trace: tuple[str, ...] = ()

    @property
    def world(self) -> str:
        """The name under which it is replayed."""
        crash = [f"crash/{self.errand.crash_at}"] if self.errand.crash_at else []
        return f"{self.errand.scenario}:{','.join([*self.choices, *crash])}"


def run(on: Stage, errand: Errand, bug: str = "") -> Found:
    """Run one small world; an error of the simulator itself is a violation too."""
    random.seed(SEED)
    ids.reseed(SEED)
    on.server.clear()
    guide = Path(errand.branch.choices) if errand.crash_at else Walk(errand.branch)
    try:
        with bugs.switched_on(bug):
            world = SmallRun(
                on,
                blueprints(on.provider, on.postman) if bug else on.blueprints,  # a bug may be built in
                SCENARIOS[errand.scenario],
                guide,
                duplicate=errand.duplicate,
                crash_at=errand.crash_at,
            )
            verdict = world.to_the_end()
    except Exception:  # noqa: BLE001 (whatever it is, the world has to be told)
        return Found(errand, tuple(guide.taken), (f"error: {traceback.format_exc()}",))
    return Found(
        errand,
        tuple(guide.taken),
        verdict.violations,
        world.is_redundant or world.lacks_duplicate,
        tuple(guide.since),
        tuple(world.turns),
        tuple(world.deaths),
        verdict.steps,
        () if verdict.is_clean and not errand.is_shown else tuple(verdict.trace.lines[-TRACE_LINES:]),
    )


def answers(on: Stage, errands: Iterator[Errand], bug: str = "") -> Iterator[Found]:
    """Run worlds one after the other."""
    gc.disable()  # a collection at any moment would close what a crash has left
    for count, errand in enumerate(errands):
        if count % REWRITE_EVERY == REWRITE_EVERY - 1:
            on.server.rewrite()
            gc.collect()
        yield run(on, errand, bug)


def main() -> None:
    """Do errands until there are no more."""
    opening = msgspec.json.decode(sys.stdin.readline(), type=Opening)
    # In a small world all is done that can be done before anything is chosen: no relay makes anybody wait.
    term.SCAN_EVERY_SECONDS = term.MARK_PAUSE_SECONDS = 0.0
    errands = (msgspec.json.decode(line, type=Errand) for line in sys.stdin)
    with stage(opening.url, opening.database, opening.core) as on:
        for found in answers(on, errands, opening.bug):
            sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
