"""`ecom simulate --small`: every order of events of one sale or two, each duplicate and each crash, as a table."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import typer

if TYPE_CHECKING:
    from tests.simulation.small.command import Census, Scope
    from tests.simulation.small.worker import Found

TOLD_EVERY = 100


def scope(scenario: str, *, whole: bool) -> Scope:
    """Which worlds: those of CI or all, of every scenario or of one. Raises typer.BadParameter for one that is none."""
    from tests.simulation.small import command
    from tests.simulation.small.scenario import SCENARIOS

    if not scenario:
        return command.Scope() if whole else command.SHORT
    if scenario not in SCENARIOS:
        names = ", ".join(SCENARIOS)
        raise typer.BadParameter(f"There is no {scenario!r}; there are {names}.", param_hint="--scenario")
    return command.Scope([scenario], [scenario], [scenario], whole=whole)


async def census(scope: Scope, *, jobs: int, minutes: float | None, traces: Path) -> int:
    """Run the small worlds of a scope, and print how many there are; 1 where one broke an invariant or is left."""
    from tests.simulation.small import command
    from tests.simulation.small.scenario import SCENARIOS

    done = 0

    def told(found: Found) -> None:
        nonlocal done
        done += 1
        if found.violations:
            _tell(found, traces)
        elif done % TOLD_EVERY == 0:
            typer.echo(f"{done} runs, now {found.errand.scenario} ({found.errand.kind})")

    seen = await command.explore(scope, jobs=jobs, seconds_max=60 * minutes if minutes else None, told=told)
    for line in _table(seen, SCENARIOS):
        typer.echo(line)
    return 1 if seen.wrong or seen.left else 0


async def whole(*, jobs: int, minutes: float | None, traces: Path) -> int:
    """Run all worlds of each scenario that the book lacks, and note it; 1 where one broke an invariant or is left."""
    import time

    from tests.simulation import ledger
    from tests.simulation.small import command
    from tests.simulation.small.scenario import SCENARIOS

    ends, commit = time.monotonic() + 60 * (minutes or 1e9), ledger.commit()
    known = {entry.scenario for entry in ledger.wholes()}
    for name in filter(lambda name: name not in known, SCENARIOS):
        seen = await command.explore(
            command.Scope([name], [name], [name]),
            jobs=jobs,
            seconds_max=ends - time.monotonic(),
            told=lambda found: _tell(found, traces) if found.violations else None,
        )
        for line in _table(seen, [name]):
            typer.echo(line)
        if seen.left:
            return 1
        orders, duplicates, crashes = seen.of(name)
        entry = ledger.Whole(
            commit=commit,
            command=f"./ecom simulate --small --all --scenario {name}",
            scenario=name,
            orders=orders,
            duplicates=duplicates,
            crashes=crashes,
            redundant=seen.redundant,
            seconds=round(seen.seconds),
            violations=tuple(found.world for found in seen.wrong),
        )
        ledger.append(entry)
        if entry.violations:
            return 1
    return 0


async def once(world: str, traces: Path) -> int:
    """Run one world again and print it; 1 where it broke an invariant."""
    from tests.simulation.small import command

    try:
        found = await command.replay(world)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--world") from error
    typer.echo("\n".join(found.trace))
    typer.echo(f"{found.world}: {found.steps} steps, {len(found.violations)} violations")
    if found.violations:
        _tell(found, traces)
    return 1 if found.violations else 0


def _table(seen: Census, scenarios: Iterable[str]) -> Iterable[str]:
    """A line a scenario: its worlds by kind, and how many of them broke an invariant."""
    wrong = [found.errand.scenario for found in seen.wrong]
    yield f"{'small world':28} {'orders':>8} {'duplicates':>10} {'crashes':>8} {'violations':>10}"
    for name in filter(lambda name: any(seen.of(name)), scenarios):
        orders, duplicates, crashes = seen.of(name)
        yield f"{name:28} {orders:8} {duplicates:10} {crashes:8} {wrong.count(name):10}"
    worlds = seen.worlds.total()
    yield f"{worlds} worlds in {seen.seconds:.0f} s ({seen.redundant} runs more were redundant), {seen.left} left"


def _tell(found: Found, traces: Path) -> None:
    """What a world broke, choice by choice, and how to see it again."""
    traces.mkdir(parents=True, exist_ok=True)
    file = traces / f"small-{found.errand.scenario}-{crc32(found.world.encode()):08x}.txt"
    file.write_text("\n".join(found.trace) + "\n")
    typer.echo(f"{found.errand.scenario} (trace in {file}):")
    for number, choice in enumerate(found.choices, start=1):
        typer.echo(f"  {number:2}. {choice}")
    for violation in found.violations:
        typer.echo(f"  {violation}")
    typer.echo(f"  again: ./ecom simulate --small --world '{found.world}'")
