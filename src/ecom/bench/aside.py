"""A process of a bench's own beside it: it says a word when it is ready, and a line on its input ends it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO, TypeVar

import msgspec

A = TypeVar("A", bound=msgspec.Struct)
LIMIT_S = 30.0


def carried_out(module: str, plan: msgspec.Struct, answer: type[A], *, limit_s: float) -> A:
    """Have a plan carried out by `python -m module`, which reads JSON and writes its answer; waits on this thread.

    Started without asyncio: uvloop would run Python in the forked child, which crashes it now and then.
    """
    argv = [sys.executable, "-P", "-m", module]
    given = msgspec.json.encode(plan)
    done = subprocess.run(argv, input=given, stdout=subprocess.PIPE, timeout=limit_s, check=True)
    return msgspec.json.decode(done.stdout, type=answer)


class Aside:
    """The process as its parent holds it."""

    def __init__(self, module: str, *arguments: str) -> None:
        # Without asyncio: uvloop would run Python in the forked child, which crashes it now and then.
        argv = [sys.executable, "-P", "-m", module, *arguments]
        self._process: subprocess.Popen[bytes] = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self._process.pid

    async def ready(self, word: str, given: bytes) -> None:
        """Give it what it reads first, and wait for its word. Raises RuntimeError where it says another."""
        said = await asyncio.to_thread(_ask, self._process.stdin, self._process.stdout, given)
        if said.strip() != word.encode():
            raise RuntimeError(f"A process of the bench said {said!r}, not {word!r}.")

    async def stop(self) -> bytes:
        """End it; returns all that it said since it was ready."""
        if self._process.returncode is not None:
            return b""
        out, _ = await asyncio.to_thread(self._process.communicate, b"\n", LIMIT_S)
        return out

    def kill(self) -> None:
        """End it at once, where it has not ended."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def _ask(stdin: IO[bytes] | None, stdout: IO[bytes] | None, given: bytes) -> bytes:
    if stdin is None or stdout is None:
        return b""
    if given:
        stdin.write(given)
        stdin.flush()
    return stdout.readline()


@asynccontextmanager
async def aside(module: str, *arguments: str, word: str, given: bytes = b"") -> AsyncIterator[Aside]:
    """`python -m module arguments` for as long as the block lasts, and no longer."""
    process = Aside(module, *arguments)
    try:
        await process.ready(word, given)
        yield process
        await process.stop()
    finally:
        process.kill()
