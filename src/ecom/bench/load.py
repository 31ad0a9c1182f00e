"""HTTP load from a process of its own: closed-loop clients on raw sockets, so that they cost little of the machine.

`python -m ecom.bench.load` reads a Plan as JSON on its input and writes what it saw, a Seen, on its output.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

import msgspec
import uvloop

_LENGTH = b"content-length: "
_END = b"\r\n\r\n"
_OK = b"HTTP/1.1 200"
_NOTHING = (b'"totalElements":0', b"[]")
_LIMIT_S = 30.0


class Plan(msgspec.Struct, frozen=True):
    """What to ask: pairs of a kind and a path, one after the other and again from the first, for so long."""

    host: str
    port: int
    clients: int
    seconds: float
    requests: Sequence[tuple[str, str]]


class Times(msgspec.Struct, frozen=True):
    """How long the answers took."""

    count: int
    p50_ms: float
    p99_ms: float


class Seen(msgspec.Struct, frozen=True):
    """What came of it."""

    all: Times
    kinds: dict[str, Times]
    per_s: float
    empty: int  # answers without a product
    failed: int
    first_failure: str
    cpu_s: float  # this process's own


class Failed(Exception):
    """An answer that cannot be read, or none."""


class Client(asyncio.Protocol):
    """One kept connection, one request at a time."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._answer: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self._missing = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._missing < 0:
            end = self._buffer.find(_END)
            if end < 0:
                return
            head = bytes(self._buffer[: end + 2]).lower()
            at = head.find(_LENGTH)
            if at < 0:
                self._settle(Failed(f"no length in {head[:200]!r}"))
                return
            at += len(_LENGTH)
            self._missing = end + len(_END) + int(head[at : head.index(b"\r\n", at)])
        if len(self._buffer) >= self._missing:
            answer = bytes(self._buffer[: self._missing])
            self._buffer.clear()
            self._missing = -1
            self._settle(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._settle(Failed(f"the connection was lost: {exc}"))

    async def ask(self, request: bytes) -> bytes:
        """Send a request and wait for its whole answer. Raises Failed."""
        if self._transport is None or self._transport.is_closing():
            raise Failed("the connection is closed")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _settle(self, outcome: bytes | Failed) -> None:
        if self._answer is None or self._answer.done():
            return
        if isinstance(outcome, Failed):
            self._answer.set_exception(outcome)
        else:
            self._answer.set_result(outcome)


class Tally:
    """What the clients saw so far."""

    def __init__(self) -> None:
        self.took: dict[str, list[float]] = {}
        self.empty = 0
        self.failed = 0
        self.first_failure = ""

    def add(self, kind: str, took_s: float, answer: bytes) -> None:
        if not answer.startswith(_OK):
            self.fail(repr(answer[:500]))
            return
        self.took.setdefault(kind, []).append(took_s)
        body = answer[answer.index(_END) + len(_END) :]
        self.empty += body == _NOTHING[1] or _NOTHING[0] in body[-200:]

    def fail(self, why: str) -> None:
        self.failed += 1
        self.first_failure = self.first_failure or why


async def measure(plan: Plan) -> Seen:
    """Let the clients ask until the time is over."""
    wire = [(kind, _request(plan, path)) for kind, path in plan.requests]
    requests = itertools.cycle(wire)
    tally = Tally()
    gc.collect()
    gc.disable()  # no answer waits for it, and the run is short
    began, cpu = time.perf_counter(), time.process_time()
    await _clients(plan, requests, tally)
    elapsed, cpu = time.perf_counter() - began, time.process_time() - cpu
    gc.enable()
    everything = sorted(itertools.chain.from_iterable(tally.took.values()))
    return Seen(
        _times(everything),
        {kind: _times(sorted(took)) for kind, took in sorted(tally.took.items())},
        len(everything) / elapsed,
        tally.empty,
        tally.failed,
        tally.first_failure,
        cpu,
    )


async def _clients(plan: Plan, requests: Iterator[tuple[str, bytes]], tally: Tally) -> None:
    until = time.perf_counter() + plan.seconds
    await asyncio.gather(*(_client(plan, requests, tally, until) for _ in range(plan.clients)))


async def _client(plan: Plan, requests: Iterator[tuple[str, bytes]], tally: Tally, until: float) -> None:
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(Client, plan.host, plan.port)
    while (began := time.perf_counter()) < until:
        kind, request = next(requests)
        try:
            answer = await client.ask(request)
        except Failed as failed:
            tally.fail(str(failed))
            client.close()
            _, client = await loop.create_connection(Client, plan.host, plan.port)
        else:
            tally.add(kind, time.perf_counter() - began, answer)
    client.close()


def _request(plan: Plan, path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {plan.host}:{plan.port}\r\nAccept: application/json\r\n\r\n".encode()


def _times(took: Sequence[float]) -> Times:
    """Percentiles by the nearest rank of what is sorted."""
    if not took:
        return Times(0, 0.0, 0.0)
    return Times(len(took), _ms(took[(len(took) - 1) // 2]), _ms(took[min(len(took) - 1, len(took) * 99 // 100)]))


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 2)


def in_a_process(plan: Plan) -> Seen:
    """Run a plan in a process of its own and wait for it, on a thread of the caller's.

    Started without asyncio: uvloop would run Python in the forked child, which crashes it now and then.
    """
    done = subprocess.run(
        [sys.executable, "-P", "-m", "ecom.bench.load"],
        input=msgspec.json.encode(plan),
        stdout=subprocess.PIPE,
        timeout=plan.seconds + _LIMIT_S,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=Seen)


def main() -> None:
    """Read the plan, carry it out, write what was seen."""
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(measure(plan))))


if __name__ == "__main__":
    main()
