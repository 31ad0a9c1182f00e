"""One supervised process with a port: found again while it lives, replaced when it is dead, stopped at the end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ecom.local.errors import LocalError
from ecom.local.home import REPOSITORY, Home, Record
from ecom.local.process import (
    Account,
    free_port,
    is_alive,
    is_free,
    log_tail,
    spawn,
    started,
    stop,
    strays,
    until,
)

GRACE_S = 10.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one process is started, known to be ready, and asked to end."""

    name: str
    argv: Callable[[Record], Sequence[str]]
    environ: Mapping[str, str]
    folder: Path = REPOSITORY
    account: Account | None = None
    prepare: Callable[[], Awaitable[None]] | None = None
    ready: Callable[[Record], bool] | None = None
    ready_within_s: float = 60.0
    polite: signal.Signals = signal.SIGTERM
    grace_s: float = GRACE_S
    is_lasting: bool = False


@dataclass(slots=True)
class Child:
    """A process that runs, ours by birth or found from an earlier start."""

    home: Home
    recipe: Recipe
    record: Record
    popen: subprocess.Popen[bytes] | None

    @property
    def port(self) -> int:
        return self.record.port

    @property
    def was_found(self) -> bool:
        """Whether an earlier launcher started it."""
        return self.popen is None

    def is_alive(self) -> bool:
        if self.popen is not None:
            self.popen.poll()
        return is_alive(self.record)

    async def stop(self) -> None:
        """End the process; its port and password stay written down for the next start."""
        await stop(self.record, grace_s=self.recipe.grace_s, polite=self.recipe.polite, child=self.popen)
        self.home.write(self.recipe.name, msgspec.structs.replace(self.record, pid=0, started=""))

    async def start_again(self) -> None:
        """Start it after a stop or a death, on the port it had; one that lives is left alone."""
        fresh = await start(self.home, self.recipe, secret=self.record.secret, port=self.record.port)
        self.record, self.popen = fresh.record, fresh.popen

    async def kill(self) -> None:
        """End the process as a crash would: what a fault test does to it."""
        await stop(self.record, grace_s=10.0, polite=signal.SIGKILL, child=self.popen)


def answers(port: int) -> bool:
    """Tell whether something listens on a loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return True
    except OSError:
        return False


async def find(home: Home, recipe: Recipe) -> Child | None:
    """Return the process of an earlier start where it still lives and answers; end what lives without answering."""
    record = home.record(recipe.name)
    if record is not None and is_alive(record):
        found = Child(home, recipe, record, None)
        if await until(lambda: _is_ready(recipe, record) or not is_alive(record), limit_s=recipe.ready_within_s):
            if is_alive(record):
                return found
        else:
            await found.stop()
    for stray in strays(home, recipe.name):
        await stop(stray, grace_s=recipe.grace_s, polite=recipe.polite)
    return None


async def start(home: Home, recipe: Recipe, *, secret: str = "", port: int | None = None) -> Child:
    """Return the living process of this name, or start it; a port once used is kept, so that clients find it again.

    `port=None` picks a free one; `port=0` is for a process that listens on none.
    """
    found = await find(home, recipe)
    if found is not None:
        return found
    before = home.record(recipe.name)
    chosen = port
    if chosen is None:
        chosen = before.port if before is not None and before.port and is_free(before.port) else free_port()
    if recipe.prepare is not None:
        await recipe.prepare()
    draft = Record(pid=0, started="", port=chosen, secret=secret)
    popen = spawn(
        home,
        recipe.name,
        recipe.argv(draft),
        environ=recipe.environ,
        folder=recipe.folder,
        account=recipe.account,
    )
    record = Record(
        pid=popen.pid,
        started=started(popen.pid) or "",
        port=chosen,
        secret=secret,
        is_lasting=recipe.is_lasting,
    )
    home.write(recipe.name, record)
    child = Child(home, recipe, record, popen)
    try:
        in_time = await until(lambda: not child.is_alive() or _is_ready(recipe, record), limit_s=recipe.ready_within_s)
    except BaseException:
        await child.stop()
        raise
    if in_time and child.is_alive():
        return child
    why = f"is not ready after {recipe.ready_within_s:.0f} s" if child.is_alive() else "ended at once"
    await child.stop()
    raise LocalError(f"{recipe.name} {why}; its log ends: {log_tail(home, recipe.name)}")


async def start_child(
    home: Home,
    name: str,
    argv: Sequence[str],
    *,
    environ: Mapping[str, str],
    port: int | None = None,
    ready: Callable[[Record], bool] | None = None,
    is_lasting: bool = False,
) -> Child:
    """Start one of our own programs by its `ecom` command line; `{port}` in it becomes the port.

    A lasting one that outlives its launcher serves the next; any other is ended by it.
    """
    recipe = Recipe(
        name=name,
        argv=lambda record: [
            sys.executable,
            "-P",
            "-m",
            "ecom.cli",
            *(part.replace("{port}", str(record.port)) for part in argv),
        ],
        environ=environ,
        ready=ready,
        is_lasting=is_lasting,
    )
    return await start(home, recipe, port=port)


async def end_leftovers(home: Home) -> list[str]:
    """End what a launcher that was killed left running, but for what serves the next one; says what."""
    left = {name: record for name, record in home.records().items() if is_alive(record) and not record.is_lasting}
    for name, record in left.items():
        await stop(record, grace_s=GRACE_S)
        home.write(name, msgspec.structs.replace(record, pid=0, started=""))
    return list(left)


async def stop_all(children: Sequence[Child]) -> None:
    """Stop children in the given order; one that resists does not keep the next from being asked."""
    first: BaseException | None = None
    for child in children:
        try:
            await child.stop()
        except LocalError as error:
            first = first or error
    if first is not None:
        raise first


def _is_ready(recipe: Recipe, record: Record) -> bool:
    if recipe.ready is not None:
        return recipe.ready(record)
    return not record.port or answers(record.port)
