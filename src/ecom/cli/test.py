"""`ecom test`: lint, types, import rules, contracts and every test, on real servers, two parts at a time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from ecom.cli.lanes import Part, run_in_lanes, run_part, run_program
from ecom.cli.verdict import close, counted, once_more

ROOT = Path(__file__).resolve().parents[3]
ARTIFACTS = ROOT / "build-artifacts" / "tests"
CACHES = ROOT / ".pytest_cache"
PYTHON = (sys.executable, "-P")
STATIC: Mapping[str, Sequence[str]] = {
    "lint": (*PYTHON, "-m", "ruff", "check", "src", "packages", "scripts", "tests"),
    "imports": (*PYTHON, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"),
    "events": (*PYTHON, "scripts/check_event_contracts.py"),
    "types": (*PYTHON, "-m", "mypy"),
}
# Debian's name of each program that some tests need; a user without it skips them, CI installs it.
SYSTEM_PARTS: Mapping[str, str] = {"kcat": "kcat", "pgbouncer": "pgbouncer", "node": "nodejs", "npm": "npm"}
NODE_PARTS = ROOT / "docs" / "node_modules"
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
# These wait for outages, rebalances and starting processes; longest first, and the others run beside them.
WAITING = ("dovecote", "faults", "cli", "flows", "demo", "local")
# These need both cores: nothing runs beside them.
ALONE = ("simulation", "bench")
# What starts whole shops by the command line; flows takes all its ways in any run.
AGAIN = ("demo", "faults", "cli")
CLASSIC: Mapping[str, str] = {"APP_KAFKA_GROUPPROTOCOL": "classic"}
LANES = 2


def register(app: typer.Typer) -> None:
    app.command(
        name="test",
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(suite)


def suite(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Also the tests marked slow.")] = False,
) -> None:
    """Run the whole suite on embedded servers; further arguments go to pytest, which then runs alone."""
    from ecom.cli import logs, loop

    logs.set_up("WARNING")
    os.chdir(ROOT)
    raise typer.Exit(loop.run(_some(context.args, every) if context.args else _all(every)))


async def _some(arguments: Sequence[str], every: bool) -> int:
    await _install_system_parts()
    async with _servers(lanes=1) as (lane,):
        return close([counted(await run_part(_tests("pytest", arguments, every=every), lane))])


async def _all(every: bool) -> int:
    began = time.monotonic()
    installing = asyncio.create_task(_install_system_parts())
    ended = await run_in_lanes([Part(name, argv) for name, argv in STATIC.items()], [os.environ] * LANES)
    await installing
    together, alone = _parts(every)
    async with _servers(lanes=LANES) as lanes:
        ended += await run_in_lanes(together, lanes)
        ended += await run_in_lanes(alone, lanes[:1])
        results = [counted(each) for each in ended]
        if os.environ.get("CI") == "true":
            results = [await once_more(result, lanes[0]) for result in results]
    return close(results, seconds=time.monotonic() - began)


@contextlib.asynccontextmanager
async def _servers(*, lanes: int) -> AsyncIterator[list[Mapping[str, str]]]:
    """The environment of each lane: a pair of servers of its own, so that parts side by side share none.

    All parts of a lane use its pair; the tests of the servers themselves start their own.
    """
    from ecom.local import servers
    from ecom.local.place import temporary_home

    async with contextlib.AsyncExitStack() as stack:
        environs: list[Mapping[str, str]] = []
        for _ in range(lanes):
            home = stack.enter_context(temporary_home())
            running = await stack.enter_async_context(servers(home, os.environ))
            environ = {**os.environ, **running.environ}
            environ.pop("ECOM_HOME")
            environs.append(environ)
        yield environs


def _parts(every: bool) -> tuple[list[Part], list[Part]]:
    """One part for each folder of tests: those to run side by side, far from each other, and those to run alone.

    With `every`, those that start whole shops once more with the classic group protocol.
    """
    tests = ROOT / "tests"
    folders = sorted({path.relative_to(tests).parts[0] for path in tests.glob("*/**/test_*.py")})
    waiting = [name for name in WAITING if name in folders]
    working = [name for name in folders if name not in (*WAITING, *ALONE)]
    together = [_tests(name, [f"tests/{name}"], every=every) for name in waiting + working]
    if every:
        together[:0] = [_tests(f"{name}-classic", [f"tests/{name}"], every=True, environ=CLASSIC) for name in AGAIN]
    return together, [_tests(name, [f"tests/{name}"], every=every) for name in ALONE if name in folders]


def _tests(name: str, paths: Sequence[str], *, every: bool, environ: Mapping[str, str] | None = None) -> Part:
    """A run of pytest with a report and a memory of its own."""
    report = ARTIFACTS / f"{name}.xml"
    argv = (*PYTHON, "-m", "pytest", "-q", f"--junitxml={report}", "-o", f"cache_dir={CACHES / name}")
    return Part(name, (*argv, *([] if every else ["-m", "not slow"]), *paths), environ or {}, report)


async def _install_system_parts() -> None:
    """Under CI, install what is missing while the static parts run; anyone else is told by the tests that skip."""
    if os.environ.get("CI") == "true":
        await _install_programs()
        await _install_node_parts()


async def _install_programs() -> None:
    """Programs come from the distribution, which needs root."""
    missing = [package for program, package in SYSTEM_PARTS.items() if shutil.which(program, path=PATH) is None]
    if not missing or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    # RUNLEVEL=1 keeps a package from starting a service of its own.
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for argv in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
        if await run_program(("apt-get", "-qq", *argv), environ) != 0:
            typer.echo(f"apt-get {argv[0]} failed; the tests that need {', '.join(missing)} will say so")
            return


async def _install_node_parts() -> None:
    """What docs/package-lock.json names, exactly and without its scripts (docs/.npmrc), into a folder git ignores."""
    npm = shutil.which("npm", path=PATH)
    if npm is None or (NODE_PARTS / "@asyncapi" / "parser").is_dir():
        return
    if await run_program((npm, "ci", "--prefix", str(NODE_PARTS.parent), "--loglevel", "error"), os.environ) != 0:
        typer.echo("npm ci failed; the tests that need the AsyncAPI parser will say so")
