"""The processes of one home seen from outside, whoever started them, and their sudden end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

from ecom.local import Home
from ecom.local.place import find_place
from ecom.local.process import MARK, started, until

LAUNCHER = "launcher"
POSTGRES = "postgres"
PROVIDER = "provider"
_GONE_WITHIN_S = 10.0
_LOOK_AGAIN_S = 0.1


def living(home: Home) -> dict[int, str]:
    """Every process that belongs to a home, by pid, with the name it was started under."""
    mark = f"{MARK}={home.path}:"
    ours = f"ECOM_HOME={home.path}"
    data = find_place(home).data
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            variables = (entry / "environ").read_bytes().decode(errors="replace").split("\0")
            marks = [variable.removeprefix(mark) for variable in variables if variable.startswith(mark)]
            # A backend of PostgreSQL has written its title over its environment; it works in the data folder.
            if (entry / "cwd").readlink() == data:
                found[int(entry.name)] = POSTGRES
            elif marks:
                found[int(entry.name)] = marks[0]
            elif ours in variables:
                found[int(entry.name)] = LAUNCHER
    return found


async def kill(pids: list[int]) -> None:
    """`kill -9`, one after the other without a breath between, and wait until all are gone."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert await until(lambda: not any(map(started, pids)), limit_s=_GONE_WITHIN_S), "killed, and still there"


async def kill_all(home: Home, *, but: str = "") -> dict[int, str]:
    """Kill everything that belongs to a home, the launcher first so that it replaces nothing; says what it was."""
    killed: dict[int, str] = {}
    # What was just being started as its parent died is seen by the second look.
    while victims := {pid: name for pid, name in living(home).items() if name != but}:
        await kill(sorted(victims, key=lambda pid: victims[pid] != LAUNCHER))
        killed |= victims
    return killed


@contextlib.asynccontextmanager
async def watched(home: Home, name: str) -> AsyncIterator[set[int]]:
    """The pids that a process of this name has until the block ends: one, where it is never started again."""
    seen: set[int] = set()

    async def watch() -> None:
        while True:
            record = home.record(name)
            if record is not None and record.pid:
                seen.add(record.pid)
            await asyncio.sleep(_LOOK_AGAIN_S)

    watching = asyncio.create_task(watch())
    try:
        yield seen
    finally:
        watching.cancel()
