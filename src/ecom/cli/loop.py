"""The event loop of a command: the first signal asks it to end in order, the second ends it at once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")
# Batches of rows are many objects that live for milliseconds: collecting after every 700 of them, as Python does
# by itself, took 18 % of the services' CPU in `ecom bench saga`.
GC_THRESHOLDS = (50_000, 50, 100)
# Each connection that a client keeps is an open file, and a shell's usual limit is 1,024 of them.
OPEN_FILES = 65_536
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(main: Coroutine[Any, Any, T], *, stop_is_success: bool = False) -> T:
    """Run a command to its end.

    A signal cancels it, so that every block it is in is left in order, and ends the process with 0 where being
    stopped is how the command ends, else with the signal's number.
    """
    from dovecote.arrays import quicken_arrays

    received: list[signal.Signals] = []
    gc.set_threshold(*GC_THRESHOLDS)
    _open_more_files()
    quicken_arrays()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(_until_signal(main, received))
        except asyncio.CancelledError:
            if not received:
                raise
    # Raised here and not in a task: uvloop would hold it back until the loop next wakes.
    raise SystemExit(0 if stop_is_success else 128 + received[0])


def _open_more_files() -> None:
    """Raise the limit of open files as far as whoever runs the machine lets us."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        with contextlib.suppress(ValueError, OSError):  # a kernel may allow less: the old limit stands
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


async def _until_signal(main: Coroutine[Any, Any, T], received: list[signal.Signals]) -> T:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(main)

    def stop(number: signal.Signals) -> None:
        if received:
            os._exit(128 + number)
        received.append(number)
        task.cancel()

    for number in SIGNALS:
        loop.add_signal_handler(number, stop, number)
    try:
        return await task
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


async def forever() -> None:
    """Wait until a signal comes."""
    await asyncio.Event().wait()
