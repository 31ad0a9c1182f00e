"""`ecom test`: lint, types, import rules, contracts and every test, on real servers, part by part."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parents[3]
ARTIFACTS = ROOT / "build-artifacts" / "tests"
PYTHON = (sys.executable, "-P")
STATIC: Mapping[str, Sequence[str]] = {
    "lint": (*PYTHON, "-m", "ruff", "check", "src", "packages", "scripts", "tests"),
    "types": (*PYTHON, "-m", "mypy"),
    "imports": (*PYTHON, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"),
    "events": (*PYTHON, "scripts/check_event_contracts.py"),
}
# Debian's name of each program that some tests need; a user without it skips them, CI installs it.
SYSTEM_PARTS: Mapping[str, str] = {"kcat": "kcat", "pgbouncer": "pgbouncer", "node": "nodejs", "npm": "npm"}
NODE_PARTS = ROOT / "docs" / "node_modules"
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
# Whole-shop stories take longest and say least about where a fault is, so they come last.
LAST = ("cli", "flows", "simulation")
# What starts whole shops by the command line; flows takes all its ways in any run.
AGAIN = ("demo", "faults", "cli")
CLASSIC: Mapping[str, str] = {"APP_KAFKA_GROUPPROTOCOL": "classic"}
PART_LIMIT_S = 1800
NO_TESTS = 5
# CI runs a part's few failed tests once more, alone, and says which passed only then.
AGAIN_AT_MOST = 3
TIMED_OUT = 124


@dataclass(frozen=True, slots=True)
class Result:
    """How one part ended."""

    name: str
    seconds: float
    code: int
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    shaky: int = 0


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
    raise typer.Exit(loop.run(_test(list(context.args), every)))


async def _test(arguments: list[str], every: bool) -> int:
    from ecom.local import servers
    from ecom.local.place import temporary_home

    installing = asyncio.create_task(_install_system_parts())
    results: list[Result] = []
    if not arguments:
        for name, argv in STATIC.items():
            results.append(await _part(name, argv, os.environ))
    await installing
    # One pair of servers for all parts; the tests of the servers themselves start their own.
    with temporary_home() as home:
        async with servers(home, os.environ) as running:
            environ = {**os.environ, **running.environ}
            environ.pop("ECOM_HOME")
            chosen = [] if every else ["-m", "not slow"]
            for name, paths, extra in (("pytest", arguments, {}),) if arguments else _parts(every):
                report = ARTIFACTS / f"{name}.xml"
                argv = (*PYTHON, "-m", "pytest", "-q", f"--junitxml={report}", *chosen, *paths)
                result = _counted(await _part(name, argv, {**environ, **extra}), report)
                if 0 < result.failed <= AGAIN_AT_MOST and os.environ.get("CI") == "true":
                    result = await _once_more(result, argv, {**environ, **extra})
                results.append(result)
    return _close(results)


async def _once_more(result: Result, argv: Sequence[str], environ: Mapping[str, str]) -> Result:
    """Run the part's failed tests again: on a machine shared with others a time limit may end a sound test."""
    again = await _part(
        f"{result.name}, the failed once more",
        (*argv, f"--junitxml={ARTIFACTS / result.name}-again.xml", "--last-failed", "--lfnf=none"),
        environ,
    )
    if again.code != 0:
        return result
    return replace(result, code=0, failed=0, passed=result.passed + result.failed, shaky=result.failed)


def _parts(every: bool) -> list[tuple[str, list[str], Mapping[str, str]]]:
    """One part for each folder of tests; those that start whole shops once more with the classic group protocol."""
    tests = ROOT / "tests"
    folders = sorted({path.relative_to(tests).parts[0] for path in tests.glob("*/**/test_*.py")})
    folders.sort(key=lambda name: LAST.index(name) if name in LAST else -1)
    parts: list[tuple[str, list[str], Mapping[str, str]]] = [(name, [f"tests/{name}"], {}) for name in folders]
    if every:
        parts += [(f"{name}-classic", [f"tests/{name}"], CLASSIC) for name in AGAIN]
    return parts


async def _part(name: str, argv: Sequence[str], environ: Mapping[str, str]) -> Result:
    """Run one part, its output straight to ours."""
    typer.echo(f"\n== {name}")
    sys.stdout.flush()
    began = time.monotonic()
    code = await _run(argv, environ)
    seconds = time.monotonic() - began
    typer.echo(f"== {name}: {'ok' if code == 0 else f'RED ({code})'} in {seconds:.1f} s")
    return Result(name, seconds, code)


async def _run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a program to its end or its limit.

    Not by the event loop: uvloop runs Python in the forked child, which crashes now and then in a process with threads.
    """
    from ecom.local.process import until

    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, env=dict(environ))  # noqa: ASYNC220  see above
    try:
        if await until(lambda: process.poll() is not None, limit_s=PART_LIMIT_S):
            return process.returncode
        typer.echo(f"not done after {PART_LIMIT_S} s")
        return TIMED_OUT
    finally:
        process.terminate()
        process.wait()


def _counted(result: Result, report: Path) -> Result:
    """Add what pytest's report counts; a part that died before writing one has one failure."""
    try:
        suite = next(iter(ET.parse(report).getroot()))  # noqa: S314  our own pytest wrote it
    except (FileNotFoundError, ET.ParseError, StopIteration):
        return Result(result.name, result.seconds, result.code or 1, failed=1)
    total, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    # A part all of whose tests are slow ran none, which is no failure of it.
    code = 0 if result.code == NO_TESTS and not failed else result.code
    return Result(result.name, result.seconds, code, max(total - failed - skipped, 0), failed, skipped)


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
        if await _run(("apt-get", "-qq", *argv), environ) != 0:
            typer.echo(f"apt-get {argv[0]} failed; the tests that need {', '.join(missing)} will say so")
            return


async def _install_node_parts() -> None:
    """What docs/package-lock.json names, exactly and without its scripts (docs/.npmrc), into a folder git ignores."""
    npm = shutil.which("npm", path=PATH)
    if npm is None or (NODE_PARTS / "@asyncapi" / "parser").is_dir():
        return
    if await _run((npm, "ci", "--prefix", str(NODE_PARTS.parent), "--loglevel", "error"), os.environ) != 0:
        typer.echo("npm ci failed; the tests that need the AsyncAPI parser will say so")


def _close(results: Sequence[Result]) -> int:
    """Print each part's time, name the red ones, and end with the line that CI reads."""
    red = [result for result in results if result.code != 0]
    typer.echo("")
    for result in results:
        typer.echo(f"{result.seconds:7.1f} s  {result.name}{'  RED' if result in red else ''}")
    if red:
        typer.echo(f"red: {', '.join(result.name for result in red)}")
    for result in results:
        if result.shaky:
            typer.echo(f"shaky: {result.shaky} of {result.name} failed at first and passed alone; find out why")
    static = [result for result in results if result.name in STATIC]
    passed = sum(result.passed for result in results) + sum(result.code == 0 for result in static)
    failed = sum(result.failed for result in results) + sum(result.code != 0 for result in static)
    # A part can be red with no failed test (a warning at its end): the line must not read as green.
    failed = failed or len(red)
    skipped = sum(result.skipped for result in results)
    typer.echo(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if red else 0
