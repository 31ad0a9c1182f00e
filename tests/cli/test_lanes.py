"""Parts of the suite side by side: what they print stays whole, what fails is counted, and shaky is not green."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from ecom.cli.lanes import Ended, Part, run_in_lanes, run_part
from ecom.cli.verdict import close, counted, once_more

# Opening one end of a pipe waits for whoever opens the other.
MEET = "print('{name} first', flush=True); open({pipe!r}, {mode!r}).close(); print('{name} last')"
# It starts in a fifth of the time.
BARE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
SHAKY = """
from pathlib import Path

def test_sound(): pass

def test_shaky():
    tried = Path({tried!r})
    before = tried.exists()
    tried.touch()
    assert before

def test_wrong():
    assert {right}
"""


def program(name: str, script: str) -> Part:
    return Part(name, (sys.executable, "-c", script))


def three_tests(tmp_path: Path, *, right: bool) -> Part:
    """Three tests: one passes, one fails the first time, and one is right or not."""
    path = tmp_path / "test_some.py"
    path.write_text(SHAKY.format(tried=str(tmp_path / "tried"), right=right))
    report = tmp_path / "some.xml"
    options = (f"--junitxml={report}", "-o", f"cache_dir={tmp_path / 'cache'}")
    return Part("some", (sys.executable, "-P", "-m", "pytest", "-q", *options, str(path)), BARE, report)


async def test_two_parts_run_at_a_time_and_each_is_printed_whole(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two parts that wait for each other end, in lanes of their own; neither's lines stand among the other's."""
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    parts = [program(name, MEET.format(name=name, pipe=pipe, mode=mode)) for name, mode in (("one", "r"), ("two", "w"))]
    ended = await run_in_lanes(parts, [os.environ] * 2)
    assert sorted((each.part.name, each.code) for each in ended) == [("one", 0), ("two", 0)]
    printed = capfd.readouterr().out
    for name in ("one", "two"):
        assert f"\n== {name}\n{name} first\n{name} last\n== {name}: ok in " in printed


async def test_lanes_take_from_both_ends_until_they_meet(capfd: pytest.CaptureFixture[str]) -> None:
    """Every part runs once, in one lane's environment; the first and the last begin, and a failure stops nobody."""
    script = "import os, sys; print('lane', os.environ['LANE']); sys.exit(os.environ['NAME'] == 'd')"
    parts = [Part(name, (sys.executable, "-c", script), {"NAME": name}) for name in "abcde"]
    ended = await run_in_lanes(parts, [{**os.environ, "LANE": lane} for lane in ("front", "back")])
    assert sorted((each.part.name, each.code) for each in ended) == [(name, int(name == "d")) for name in "abcde"]
    printed = capfd.readouterr().out
    assert "== a\nlane front\n" in printed
    assert "== e\nlane back\n" in printed
    assert "== d: RED (1) in " in printed


async def test_a_part_that_is_broken_off_still_shows_what_it_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The log of a run that was stopped holds the stopped part's lines: they say where it hung."""
    begun, never = str(tmp_path / "begun"), str(tmp_path / "never")
    os.mkfifo(begun)
    os.mkfifo(never)
    script = f"print('so far', flush=True); open({begun!r}, 'w').close(); open({never!r}, 'w')"
    hung = asyncio.create_task(run_part(program("hung", script), os.environ, whole=True))
    await asyncio.to_thread(Path(begun).read_bytes)
    hung.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hung
    assert capfd.readouterr().out == "\n== hung\nso far\n"


async def test_what_passes_only_the_second_time_is_shaky(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The failed tests alone run again; the part is then sound, the log names it, and every test counts once."""
    result = counted(await run_part(three_tests(tmp_path, right=True), os.environ, whole=True))
    assert (result.code, result.passed, result.failed) == (1, 2, 1)
    result = await once_more(result, os.environ)
    assert "1 passed" in capfd.readouterr().out
    assert (result.code, result.passed, result.failed, result.shaky) == (0, 3, 0, 1)
    assert close([result]) == 0
    assert capfd.readouterr().out.splitlines()[-2:] == [
        "shaky: 1 of some failed at first and passed alone; find out why",
        "3 passed, 0 failed, 0 skipped",
    ]


async def test_what_fails_again_is_red(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A second try turns nothing green that fails again."""
    result = counted(await run_part(three_tests(tmp_path, right=False), os.environ, whole=True))
    result = await once_more(result, os.environ)
    assert (result.code, result.passed, result.failed, result.shaky) == (1, 1, 2, 0)
    assert close([result]) == 1
    assert capfd.readouterr().out.splitlines()[-2:] == ["red: some", "1 passed, 2 failed, 0 skipped"]


async def test_an_earlier_runs_report_counts_for_nothing(tmp_path: Path) -> None:
    """A part that dies before it reports has one failure, whatever its report said the last time."""
    report = tmp_path / "some.xml"
    report.write_text('<testsuites><testsuite tests="7" failures="0" errors="0" skipped="0"/></testsuites>')
    died = Part("some", (sys.executable, "-c", "raise SystemExit(9)"), report=report)
    assert counted(Ended(died, 0, 1.0)).passed == 7
    result = counted(await run_part(died, os.environ, whole=True))
    assert (result.code, result.passed, result.failed) == (9, 0, 1)


def test_a_red_part_without_a_failed_test_is_not_green(capsys: pytest.CaptureFixture[str]) -> None:
    """Lint has no tests, and pytest may end red for a warning: the last line says so."""
    assert close([counted(Ended(Part("lint", ()), 1, 2.0)), counted(Ended(Part("types", ()), 0, 3.0))]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 1 failed, 0 skipped"
