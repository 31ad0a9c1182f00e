"""A process that runs seeds: one JSON line a run on standard output, for the command that started it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

import msgspec
import structlog

from tests.simulation import curse
from tests.simulation.loop import SimulatedLoop
from tests.simulation.node import slow_down
from tests.simulation.outside import Provider, SimulatedPostman
from tests.simulation.run import Stage, Verdict, blueprints
from tests.simulation.server import Server, new_database

TRACE_LINES = 4000
REWRITE_EVERY = 50
SESSIONS = 4


class Task(msgspec.Struct, frozen=True):
    """What a worker is to do: seeds in their order, each with a bug switched on where one is named."""

    url: str
    database: str
    core: int  # where the process and its sessions run
    seeds: tuple[int, ...] = ()
    span: tuple[int, int, int] = (1, 0, 1)  # first, last, step: instead of seeds
    bug: str = ""
    stop_at_violation: bool = False
    is_shown: bool = False  # traces are wanted, also where nothing is wrong

    def all_seeds(self) -> Iterable[int]:
        """Those that are named, or those of the span."""
        first, last, step = self.span
        return self.seeds or range(first, last + 1, step)


class Report(msgspec.Struct, frozen=True):
    """What came of one seed; the trace only where something was wrong, or where it is wanted."""

    seed: int
    violations: tuple[str, ...]
    steps: int
    orders: int
    digest: str
    trace: tuple[str, ...] = ()


@contextmanager
def stage(url: str, database: str, core: int) -> Iterator[Stage]:
    """Everything that runs of one process share. The process stays on a core, and is good for nothing else."""
    os.sched_setaffinity(0, {core})
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    slow_down()
    curse.install()
    loop = SimulatedLoop()
    asyncio.set_event_loop(loop)
    provider, postman = Provider(), SimulatedPostman()
    services = list(blueprints(provider, postman).values())
    server = Server(new_database(url, database, services), [each.schema for each in services])
    loop.run_until_complete(server.warm(SESSIONS))
    try:
        yield Stage(loop, server, provider, postman)
    finally:
        server.close()


def reports(on: Stage, seeds: Iterable[int], bug: str = "", *, is_shown: bool = False) -> Iterator[Report]:
    """Run seeds one after the other."""
    gc.disable()  # a collection at any moment would close what a crash has left
    for count, seed in enumerate(seeds):
        if count % REWRITE_EVERY == REWRITE_EVERY - 1:
            on.server.rewrite()
            gc.collect()
        yield report(lambda seed=seed: on.run(seed, bug), seed, is_shown=is_shown)  # type: ignore[misc]


def report(run: Callable[[], Verdict], seed: int, *, is_shown: bool = False) -> Report:
    """One run's verdict; an error of the simulator itself is one too."""
    try:
        verdict = run()
    except Exception:  # noqa: BLE001 (whatever it is, the seed has to be told)
        return Report(seed, (f"error: {traceback.format_exc()}",), 0, 0, "")
    trace = () if verdict.is_clean and not is_shown else tuple(verdict.trace.lines[-TRACE_LINES:])
    return Report(seed, verdict.violations, verdict.steps, verdict.orders, verdict.trace.digest, trace)


def main() -> None:
    """Do the tasks that stand on the lines of standard input; an empty line to each end, for whoever waits for it."""
    on: Stage | None = None
    with ExitStack() as stack:
        for line in sys.stdin:
            task = msgspec.json.decode(line, type=Task)
            on = on or stack.enter_context(stage(task.url, task.database, task.core))
            for each in reports(on, task.all_seeds(), task.bug, is_shown=task.is_shown):
                _say(msgspec.json.encode(each).decode())
                if each.violations and task.stop_at_violation:
                    break
            _say("")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
