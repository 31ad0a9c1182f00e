"""Processes of ours: known by pid and start time, found without a record, stopped even when they do not want to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ecom.local import Home
from ecom.local.child import Recipe, end_leftovers, find, start
from ecom.local.errors import LocalError
from ecom.local.home import Record
from ecom.local.process import free_port, is_alive, is_free, spawn, started, stop, strays, until

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)",
]


@pytest.fixture
def here(tmp_path: Path) -> Home:
    """A home that nothing else uses."""
    home = Home(tmp_path / "home")
    home.make()
    return home


def recipe(argv: list[str], **changes: object) -> Recipe:
    """A child without a port that is ready at once."""
    return Recipe(name="child", argv=lambda _: argv, environ=dict(os.environ), **changes)  # type: ignore[arg-type]


async def test_a_dead_process_and_a_reused_pid_do_not_count_as_alive() -> None:
    """A zombie is dead, and a record whose start time differs names another process than the one under its pid."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    assert await until(lambda: started(child.pid) is None, limit_s=10)
    assert child.wait() == 0
    assert not is_alive(Record(pid=os.getpid(), started="another boot/1"))
    assert is_alive(Record(pid=os.getpid(), started=started(os.getpid()) or ""))


async def test_a_child_is_found_again_and_stopped(here: Home) -> None:
    """A living child is reused with its record; its record is private; after the stop it is gone."""
    first = await start(here, recipe(SLEEPER), port=0)
    again = await start(here, recipe(SLEEPER), port=0)
    assert again.record == first.record
    assert again.was_found
    assert (here.run / "child.json").stat().st_mode & 0o077 == 0
    assert os.getsid(first.record.pid) == first.record.pid
    await first.stop()
    assert not first.is_alive()
    assert await find(here, recipe(SLEEPER)) is None


async def test_the_next_launcher_ends_what_a_killed_one_left_and_keeps_what_lasts(here: Home) -> None:
    """Services of a dead launcher do not run on beside new ones; a provider and servers do."""
    passing = await start(here, recipe(SLEEPER), port=0)
    lasting = await start(here, replace(recipe(SLEEPER, is_lasting=True), name="lasting"), port=0)
    assert await end_leftovers(here) == ["child"]
    assert not passing.is_alive()
    assert lasting.is_alive()
    await lasting.stop()
    assert await end_leftovers(here) == []


async def test_a_child_that_ignores_the_polite_signal_is_killed(here: Home) -> None:
    """SIGTERM, the grace, then SIGKILL: no child outlives its stop."""
    log = here.logs / "child.log"
    deaf = recipe(STUBBORN, grace_s=0.2, ready=lambda _: log.exists() and "deaf" in log.read_text())
    child = await start(here, deaf, port=0)
    await child.stop()
    assert child.popen is not None
    assert child.popen.returncode == -signal.SIGKILL


async def test_a_child_that_ends_at_once_says_why(here: Home) -> None:
    """The error carries the last words of the log."""
    with pytest.raises(LocalError, match="ended at once.*no such luck"):
        await start(here, recipe([sys.executable, "-c", "raise SystemExit('no such luck')"]))


async def test_a_child_without_a_record_is_found_by_its_mark(here: Home) -> None:
    """A child whose launcher died before writing the record is found by its mark, a family by its head."""
    family = [sys.executable, "-c", f"import subprocess; subprocess.run({SLEEPER!r})"]
    child = spawn(here, "child", family, environ=os.environ, folder=here.path)
    assert await until(lambda: bool(strays(here, "child")), limit_s=10)
    (found,) = strays(here, "child")
    assert found.pid == child.pid
    os.killpg(child.pid, signal.SIGKILL)
    await stop(found, grace_s=5, child=child)


def test_a_free_port_is_free_and_a_taken_one_is_not() -> None:
    """A port counts as taken while something listens on it; none is one that a client may be given as its own."""
    import socket

    port = free_port()
    assert is_free(port)
    assert port < int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert not is_free(port)
