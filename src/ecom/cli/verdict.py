"""What a run of the suite comes to: tests counted, the few failed ones tried once more, and all of it said."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import typer

from ecom.cli.lanes import Ended, Part, run_part

NO_TESTS = 5
# CI runs a part's few failed tests once more, alone, and says which passed only then.
AGAIN_AT_MOST = 3


@dataclass(frozen=True, slots=True)
class Result:
    """How one part ended."""

    part: Part
    seconds: float
    code: int
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    shaky: int = 0


def counted(ended: Ended) -> Result:
    """Add what pytest's report counts; a part that died before writing one has one failure."""
    part = ended.part
    if part.report is None:
        return Result(part, ended.seconds, ended.code, passed=int(ended.code == 0), failed=int(ended.code != 0))
    try:
        suite = next(iter(ET.parse(part.report).getroot()))  # noqa: S314  our own pytest wrote it
    except (FileNotFoundError, ET.ParseError, StopIteration):
        return Result(part, ended.seconds, ended.code or 1, failed=1)
    total, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    # A part all of whose tests are slow ran none, which is no failure of it.
    code = 0 if ended.code == NO_TESTS and not failed else ended.code
    return Result(part, ended.seconds, code, max(total - failed - skipped, 0), failed, skipped)


async def once_more(result: Result, environ: Mapping[str, str]) -> Result:
    """Run the part's failed tests again, alone: on a machine shared with others a time limit may end a sound test."""
    part = result.part
    if part.report is None or not 0 < result.failed <= AGAIN_AT_MOST:
        return result
    report = part.report.with_stem(f"{part.name}-again")
    argv = (*part.argv, f"--junitxml={report}", "--last-failed", "--lfnf=none")
    again = await run_part(replace(part, name=f"{part.name}, the failed once more", argv=argv, report=report), environ)
    if again.code != 0:
        return result
    return replace(result, code=0, failed=0, passed=result.passed + result.failed, shaky=result.failed)


def close(results: Sequence[Result], *, seconds: float | None = None) -> int:
    """Print each part's time, name the red ones, and end with the line that CI reads."""
    red = [result for result in results if result.code != 0]
    typer.echo("")
    for result in results:
        typer.echo(f"{result.seconds:7.1f} s  {result.part.name}{'  RED' if result in red else ''}")
    if seconds is not None:
        typer.echo(f"{seconds:7.1f} s  from start to end, for many parts ran side by side")
    if red:
        typer.echo(f"red: {', '.join(result.part.name for result in red)}")
    for result in results:
        if result.shaky:
            typer.echo(f"shaky: {result.shaky} of {result.part.name} failed at first and passed alone; find out why")
    passed = sum(result.passed for result in results)
    # A part can be red with no failed test (a warning at its end): the line must not read as green.
    failed = sum(result.failed for result in results) or len(red)
    skipped = sum(result.skipped for result in results)
    typer.echo(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if red else 0
