"""The launcher script: what it installs, when, and the one line it says where it cannot. Its Python is a stand-in."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Plays python3, the environment's python and (copied) uv: writes down each call and does the visible part of it.
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >>"$TRACE"
case "$1 $2" in
    "--version "*) echo "Python 3.9.2" ;;
    "-c import sys;"*) exit "${OLD:-0}" ;;
    "-c import ensurepip,"*) exit "${NO_VENV:-0}" ;;
    "-m venv") mkdir -p "$3/bin" "$3/lib/python3.11/site-packages"; cp "$0" "$3/bin/python" ;;
    "-m pip")
        [ "$3" = config ] && exit 1
        if [ -n "${HANG:-}" ]; then echo hanging >>"$TRACE"; read -r _ <"$HANG"; fi
        cp "$0" "$(dirname "$0")/uv" ;;
    "pip install") [ -z "${UV_FAILS:-}" ] || { echo "$UV_FAILS"; exit 1; } ;;
    "-P -m") shift 3; echo "cli in $(pwd): $*" ;;
esac
"""


@dataclass
class Clone:
    """A copy of the launcher with its locks, and the trace of what its stand-in was asked."""

    root: Path
    programs: Path
    trace: Path
    environ: dict[str, str] = field(default_factory=dict)

    def command(self, *arguments: str, path: Path | None = None) -> tuple[list[str], dict[str, str]]:
        environ = {"PATH": f"{self.programs}", "TRACE": str(self.trace), "HOME": "", **self.environ}
        return [str(path or self.root / "ecom"), *arguments], environ

    def run(
        self, *arguments: str, path: Path | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        argv, environ = self.command(*arguments, path=path)
        return subprocess.run(argv, env=environ, cwd=cwd or self.root, capture_output=True, text=True, check=False)

    def installs(self) -> list[str]:
        """The locks installed so far, in order."""
        lines = self.trace.read_text().splitlines() if self.trace.exists() else []
        return [line.rpartition("/")[2] for line in lines if line.startswith("uv pip install")]


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone in which nothing is installed, and a PATH with the stand-in and the few tools the launcher needs."""
    root = tmp_path / "clone"
    root.mkdir()
    shutil.copy(ROOT / "ecom", root)
    shutil.copytree(ROOT / "requirements", root / "requirements")
    programs = tmp_path / "programs"
    programs.mkdir()
    stand_in = programs / "python3"
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    tools = "sh basename cat cksum cp dirname flock getconf grep ls mkdir mv readlink rm sleep tail uname"
    for tool in tools.split():
        found = shutil.which(tool)
        assert found is not None
        (programs / tool).symlink_to(found)
    return Clone(root, programs, tmp_path / "trace")


def test_the_first_start_installs_and_the_next_ones_do_not(clone: Clone) -> None:
    """One install of the runtime lock, then only the command; the test command adds the dev lock once."""
    first = clone.run("up", "--port", "1")
    assert (first.returncode, first.stdout) == (0, f"cli in {clone.root}: up --port 1\n"), first.stderr
    assert "once" in first.stderr
    again = clone.run("up")
    assert again.stderr == ""
    assert clone.installs() == ["runtime.lock"]
    clone.run("test")
    clone.run("test")
    clone.run("up")
    assert clone.installs() == ["runtime.lock", "dev.lock"]


def test_the_packages_are_found_after_the_folder_was_moved(clone: Clone) -> None:
    """The path file is relative, so a moved or renamed clone goes on working."""
    clone.run("up")
    (path_file,) = clone.root.glob(".venv/lib/python3*/site-packages/ecom.pth")
    for line in path_file.read_text().splitlines():
        assert not line.startswith("/")
        assert (path_file.parent / line).resolve().is_relative_to(clone.root)


def test_a_changed_lock_is_installed_again(clone: Clone) -> None:
    """What a pull changed is installed at the next start."""
    clone.run("up")
    lock = clone.root / "requirements" / "runtime.lock"
    lock.write_text(lock.read_text() + "# changed\n")
    clone.run("up")
    assert clone.installs() == ["runtime.lock", "runtime.lock"]


def test_it_works_from_any_folder_and_through_symlinks(clone: Clone, tmp_path: Path) -> None:
    """A relative link to an absolute link finds the clone; the working folder stays the caller's."""
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "far").symlink_to(clone.root / "ecom")
    near = tmp_path / "near"
    near.symlink_to("links/far")
    done = clone.run("check", path=near, cwd=tmp_path)
    assert done.stdout == f"cli in {tmp_path}: check\n"
    assert (clone.root / ".venv").is_dir()


def test_two_first_starts_at_once_install_once(clone: Clone, tmp_path: Path) -> None:
    """The second waits for the first and then finds all there, whether or not the machine has flock."""
    for tool in ("flock", "mkdir"):
        gate = tmp_path / f"gate-{tool}"
        os.mkfifo(gate)
        argv, environ = clone.command("up")
        first = subprocess.Popen(argv, env={**environ, "HANG": str(gate)}, stdout=subprocess.PIPE, text=True)
        wait_for(clone.trace, "hanging")
        second = subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, text=True)
        with gate.open("w") as opened:
            opened.write("go\n")
        assert "cli in" in first.communicate(timeout=30)[0]
        assert "cli in" in second.communicate(timeout=30)[0]
        assert clone.installs() == ["runtime.lock"]
        # Once more, on a machine without flock.
        (clone.programs / "flock").unlink(missing_ok=True)
        shutil.rmtree(clone.root / ".venv")
        clone.trace.unlink()


@pytest.mark.parametrize("has_flock", [True, False])
def test_an_install_that_was_cut_off_is_begun_anew(clone: Clone, tmp_path: Path, *, has_flock: bool) -> None:
    """After kill -9 in mid-install the next start takes the lock of the dead, throws the rest away and installs."""
    if not has_flock:
        (clone.programs / "flock").unlink()
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    argv, environ = clone.command("up")
    first = subprocess.Popen(argv, env={**environ, "HANG": str(gate)}, start_new_session=True)
    wait_for(clone.trace, "hanging")
    (clone.root / ".venv" / "lib" / "half").write_text("")
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    done = clone.run("up")
    assert (done.returncode, done.stdout) == (0, f"cli in {clone.root}: up\n"), done.stderr
    assert not (clone.root / ".venv" / "lib" / "half").exists()


def test_a_failing_install_says_why_and_is_tried_again(clone: Clone) -> None:
    """One line with the reason and the log's place; nothing counts as installed; the next start tries again."""
    clone.environ["UV_FAILS"] = "no such index"
    failed = clone.run("up")
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("ecom: Installing failed (no such index); the whole story is in ")
    del clone.environ["UV_FAILS"]
    assert clone.run("up").returncode == 0


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"OLD": "1"}, "Python is too old (Python 3.9.2): install Python 3.11 or newer and start again."),
        ({"NO_VENV": "1"}, "python3 has no venv module: install it (Debian, Ubuntu: apt install python3-venv) and"),
    ],
)
def test_an_unfit_python_is_told_in_one_line(clone: Clone, environ: dict[str, str], says: str) -> None:
    """An old Python or one without venv: one line that says what to install."""
    clone.environ.update(environ)
    done = clone.run("up")
    assert done.returncode == 1
    assert done.stderr.startswith(f"ecom: {says}")
    assert done.stderr.count("\n") == 1


def test_a_missing_python_is_told_in_one_line(clone: Clone) -> None:
    """No Python at all: one line that says what to install."""
    (clone.programs / "python3").unlink()
    done = clone.run("up")
    assert (done.returncode, done.stderr) == (
        1,
        "ecom: Python is missing: install Python 3.11 or newer as python3 and start again.\n",
    )


@pytest.mark.parametrize("system", ["Darwin arm64", "Linux aarch64"])
def test_an_unserved_system_names_the_two_variables(clone: Clone, system: str) -> None:
    """Where the wheels do not serve, one line names both variables; with them set the start goes on."""
    name, machine = system.split()
    (clone.programs / "uname").unlink()
    (clone.programs / "uname").write_text(f'#!/bin/sh\n[ "$1" = -s ] && echo {name} || echo {machine}\n')
    (clone.programs / "uname").chmod(0o755)
    refused = clone.run("up")
    assert refused.returncode == 1
    assert "ECOM_DATABASE_URL and ECOM_KAFKA_BOOTSTRAP_SERVERS" in refused.stderr
    assert refused.stderr.count("\n") == 1
    clone.environ.update(ECOM_DATABASE_URL="postgresql://h/d", ECOM_KAFKA_BOOTSTRAP_SERVERS="h:9092")
    assert clone.run("up").returncode == 0


def wait_for(path: Path, text: str) -> None:
    """Wait until a file holds a text."""
    deadline = time.monotonic() + 20
    pause = threading.Event()
    while not path.exists() or text not in path.read_text():
        assert time.monotonic() < deadline, f"{path} never held {text!r}"
        pause.wait(0.01)
