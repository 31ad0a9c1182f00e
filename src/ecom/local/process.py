"""Processes of ours: started in a session of their own, known again by pid and start time, stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecom.local.errors import LocalError
from ecom.local.home import Home, Record

# Every child carries this variable, so that one whose launcher died before writing its record is still found.
MARK = "ECOM_CHILD"
_POLL_S = 0.02
_OUTGOING_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_PORT_MIN = 12000
_TRIES_MAX = 200


@dataclass(frozen=True, slots=True)
class Account:
    """The system user a server runs as, where the launcher is root."""

    name: str
    uid: int
    gid: int


def free_port() -> int:
    """Return a loopback port that nothing listens on now, and that no outgoing connection is ever given.

    A client that calls a stopped server's port again and again may be given that very port as its own, and is then
    connected to itself: the server could not come back. So the kernel's range for outgoing connections is left out.
    """
    try:
        beyond = int(_OUTGOING_PORTS.read_text().split()[0])
    except FileNotFoundError:
        beyond = 32768
    for _ in range(_TRIES_MAX):
        port = _PORT_MIN + secrets.randbelow(max(beyond - _PORT_MIN, 1))
        if is_free(port):
            return port
    raise LocalError(f"No port between {_PORT_MIN} and {beyond} is free on 127.0.0.1.")


def is_free(port: int) -> bool:
    """Tell whether a server could listen on a loopback port now; one still closing does not count as taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def started(pid: int) -> str | None:
    """Return when a living process began, unique over reboots; None where it is gone or only waits to be reaped."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else f"{boot}/{fields[19]}"


def is_alive(record: Record) -> bool:
    """Tell whether the process a record names is the one that runs under its pid."""
    return started(record.pid) == record.started


def strays(home: Home, name: str) -> list[Record]:
    """Return the processes marked as this child; of a family only the parent, whose end ends the others."""
    mark = f"{MARK}={home.path}:{name}".encode()
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(stat[1])
    tops = [pid for pid, parent in parents.items() if parent not in parents]
    return [Record(pid=pid, started=began) for pid in tops if (began := started(pid)) is not None]


def spawn(
    home: Home,
    name: str,
    argv: Sequence[str],
    *,
    environ: Mapping[str, str],
    folder: Path,
    account: Account | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child whose output goes to its log; a signal of the terminal does not reach it, only ours do."""
    extra = {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}
    with (home.logs / f"{name}.log").open("ab") as log:
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**environ, MARK: f"{home.path}:{name}"},
            cwd=folder,
            start_new_session=True,
            **extra,
        )


async def until(condition: Callable[[], bool], *, limit_s: float) -> bool:
    """Wait for a condition; False where the limit came first."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(_POLL_S)
    return True


async def to_their_end(*starts: Coroutine[Any, Any, None]) -> None:
    """Run all to their end, so that what one started is known even where another failed; raise the first failure."""
    done = await asyncio.gather(*starts, return_exceptions=True)
    for outcome in done:
        if isinstance(outcome, BaseException):
            raise outcome


async def stop(
    record: Record,
    *,
    grace_s: float,
    polite: signal.Signals = signal.SIGTERM,
    child: subprocess.Popen[bytes] | None = None,
) -> None:
    """Ask a process to end, wait, and kill it where it does not; a process that is gone already is fine."""

    def gone() -> bool:
        if child is not None:
            return child.poll() is not None  # which also reaps it
        return not is_alive(record)

    for number, limit_s in ((polite, grace_s), (signal.SIGKILL, 10.0)):
        if gone():
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(record.pid, number)
        if await until(gone, limit_s=limit_s):
            return
    raise LocalError(f"Process {record.pid} does not end, even when killed: look at its state and end it by hand.")


async def run_to_end(
    home: Home,
    name: str,
    argv: Sequence[str],
    *,
    environ: Mapping[str, str],
    folder: Path,
    account: Account | None = None,
) -> None:
    """Run a program that ends by itself, and raise with its last words where it failed."""
    child = spawn(home, name, argv, environ=environ, folder=folder, account=account)
    record = Record(pid=child.pid, started=started(child.pid) or "")
    try:
        await until(lambda: child.poll() is not None, limit_s=120.0)
    finally:
        await stop(record, grace_s=5.0, child=child)
    if child.returncode != 0:
        raise LocalError(f"{name} failed; its log ends: {log_tail(home, name)}")


def log_tail(home: Home, name: str, *, lines: int = 5) -> str:
    """Return the last lines a child wrote, for the error that says it did not start."""
    try:
        text = (home.logs / f"{name}.log").read_text(errors="replace")
    except FileNotFoundError:
        return ""
    return " | ".join(line.strip() for line in text.splitlines()[-lines:] if line.strip())
