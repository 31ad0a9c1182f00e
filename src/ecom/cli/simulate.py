"""`ecom simulate`: the shop under a seeded scheduler, thousands of times: real code, real SQL, simulated world."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecom.cli import small_worlds

if TYPE_CHECKING:
    from tests.simulation.worker import Report

ROOT = Path(__file__).resolve().parents[3]
TOLD_EVERY = 100
TRACES = ROOT / "build-artifacts" / "simulation"


def register(app: typer.Typer) -> None:
    app.command(name="simulate")(simulate)


def simulate(
    seeds: Annotated[str, typer.Option(help="A..B, or one seed.")] = "1..1000",
    jobs: Annotated[int, typer.Option(help="Processes.", min=1, max=64)] = 1,
    minutes: Annotated[float | None, typer.Option(help="Stop after so long.", min=0.0)] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Print all that happened in each run.")] = False,
    ledger: Annotated[
        bool, typer.Option("--ledger", help="Go on after the last seed (or small scenario) of the book, and note it.")
    ] = False,
    bugs: Annotated[bool, typer.Option("--bugs", help="Look for each bug made on purpose instead.")] = False,
    small: Annotated[
        bool, typer.Option("--small", help="Small worlds instead: every order, duplicate and crash of a sale.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="All small worlds, not those of CI alone.")] = False,
    scenario: Annotated[str, typer.Option(help="The small worlds of one scenario.")] = "",
    world: Annotated[str, typer.Option(help="Run one small world again: NAME:choice,choice,….")] = "",
) -> None:
    """Run the saga under faults, seed by seed; exit 1 where an invariant is broken. The same seed is the same run."""
    import asyncio

    sys.path.insert(0, str(ROOT))  # the simulator is a part of the tests
    if world:
        raise typer.Exit(asyncio.run(small_worlds.once(world, TRACES)))
    if ledger and (small or everything or scenario):
        if scenario or not everything:
            why = "the book of small worlds has whole scenarios only: --small --all --ledger"
            raise typer.BadParameter(why, param_hint="--ledger")
        raise typer.Exit(asyncio.run(small_worlds.whole(jobs=jobs, minutes=minutes, traces=TRACES)))
    if small or everything or scenario:
        scope = small_worlds.scope(scenario, whole=everything)
        raise typer.Exit(asyncio.run(small_worlds.census(scope, jobs=jobs, minutes=minutes, traces=TRACES)))
    if bugs:
        raise typer.Exit(asyncio.run(_hunt(jobs)))
    found = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", seeds)
    if found is None or int(found[2] or found[1]) < int(found[1]):
        raise typer.BadParameter(f"{seeds!r} is no range of seeds, e.g. 1..1000", param_hint="--seeds")
    first, last = int(found[1]), int(found[2] or found[1])
    raise typer.Exit(asyncio.run(_run(first, last, jobs=jobs, minutes=minutes, whole=trace, is_noted=ledger)))


async def _run(first: int, last: int, *, jobs: int, minutes: float | None, whole: bool, is_noted: bool) -> int:
    from tests.simulation import command, ledger

    if is_noted:
        count = last - first
        first = ledger.next_seed()
        last = first + count
    commit, done = ledger.commit(), 0

    def told(report: Report) -> None:
        nonlocal done
        done += 1
        if report.violations or report.trace:
            _tell(report, whole=whole)
        elif done % TOLD_EVERY == 0:
            typer.echo(f"{done} of {last - first + 1} seeds")

    seconds_max = 60 * minutes if minutes else None
    summary = await command.simulate(first, last, jobs=jobs, is_shown=whole, seconds_max=seconds_max, told=told)
    typer.echo(
        f"{summary.seeds} seeds, {summary.orders} orders, {summary.steps} steps in {summary.seconds:.0f} s: "
        f"{summary.orders_per_minute:.0f} sagas a minute; {len(summary.wrong)} seeds broke an invariant"
    )
    if is_noted and summary.last >= first:
        entry = ledger.Entry(
            commit=commit,
            command=f"./ecom simulate --seeds {first}..{summary.last}",
            first=first,
            last=summary.last,
            orders=summary.orders,
            steps=summary.steps,
            seconds=round(summary.seconds),
            digest=summary.digest,
            violations=tuple(sorted(report.seed for report in summary.wrong)),
        )
        ledger.append(entry)
    return 1 if summary.wrong else 0


async def _hunt(jobs: int) -> int:
    """Find every bug on purpose, and write down which seed did."""
    from tests.simulation import command
    from tests.simulation.bugs import BUGS, found

    hunted = await command.hunt(
        [(row, 1) for row in BUGS],
        seeds_max=found.SEEDS_MAX,
        jobs=jobs,
        told=lambda one: typer.echo(
            f"{one.row:4} {one.tried:4} seeds: {one.by.splitlines()[0] if one.by else 'NOT FOUND'}"
        ),
    )
    found.write(hunted)
    missed = [one.row for one in hunted if one.seed is None]
    typer.echo(f"{len(hunted) - len(missed)} of {len(hunted)} bugs found; {found.PAGE.relative_to(ROOT)} says how")
    return 1 if missed else 0


def _tell(report: Report, *, whole: bool) -> None:
    """What a seed broke, if anything, and where its trace lies."""
    TRACES.mkdir(parents=True, exist_ok=True)
    file = TRACES / f"seed-{report.seed}.txt"
    file.write_text("\n".join(report.trace) + "\n")
    typer.echo(f"seed {report.seed} after {report.steps} steps (trace {report.digest} in {file.relative_to(ROOT)}):")
    for violation in report.violations:
        typer.echo(f"  {violation}")
    if whole:
        typer.echo(file.read_text())
