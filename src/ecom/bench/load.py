"""HTTP load from a process of its own: closed-loop clients on raw sockets, so that they cost little of the machine.

`python -m ecom.bench.load` reads a Plan as JSON on its input and writes what it saw, a Seen, on its output.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import uvloop

from ecom.bench.aside import carried_out

_LENGTH = b"content-length: "
_END = b"\r\n\r\n"
_STATUS = slice(len(b"HTTP/1.1 "), len(b"HTTP/1.1 200"))
_CODE = re.compile(rb'"code":"(\w+)"')
_NOTHING = (b'"totalElements":0', b"[]")
_LIMIT_S = 30.0
LOST = "LOST"


class Ask(NamedTuple):
    """A request; its kind is for the report. A body is JSON."""

    kind: str
    path: str
    method: str = "GET"
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def wire(self, host: str, port: int) -> bytes:
        """The request as it is sent."""
        head = [f"{self.method} {self.path} HTTP/1.1", f"Host: {host}:{port}", "Accept: application/json"]
        head += [f"{name}: {value}" for name, value in self.headers]
        body = self.body.encode()
        if self.method != "GET":
            head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        return "\r\n".join([*head, "", ""]).encode() + body


class Plan(msgspec.Struct, frozen=True):
    """What to ask, one after the other and again from the first, for so long; or each of it ``once``, within that."""

    host: str
    port: int
    clients: int
    seconds: float
    requests: Sequence[Ask]
    once: bool = False


class Times(msgspec.Struct, frozen=True):
    """How long the answers took."""

    count: int
    p50_ms: float
    p99_ms: float
    p95_ms: float


class Seen(msgspec.Struct, frozen=True):
    """What came of it: answers of success in ``all`` and ``kinds``, every other in ``failed``."""

    all: Times
    kinds: dict[str, Times]
    per_s: float
    empty: int  # answers without a product
    failed: int
    first_failure: str
    cpu_s: float  # this process's own
    elapsed_s: float
    refused: Times  # of the failed, those that the client is to blame for (4xx)
    reasons: dict[str, int]  # of the failed: status and problem code, or LOST

    @property
    def answered_per_s(self) -> float:
        """Answers a second, refusals too."""
        return (self.all.count + self.refused.count) / self.elapsed_s

    @property
    def server_errors(self) -> int:
        """Answers of 5xx, and connections that were lost."""
        return self.failed - self.refused.count


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

    @property
    def is_open(self) -> bool:
        """Whether the server has not hung up yet."""
        return self._transport is not None and not self._transport.is_closing()

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
        self.refused: list[float] = []
        self.reasons: Counter[str] = Counter()
        self.empty = 0
        self.first_failure = ""

    def add(self, kind: str, took_s: float, answer: bytes) -> None:
        status = answer[_STATUS]
        if not status.startswith(b"2"):
            code = _CODE.search(answer)
            self.fail(f"{status.decode()} {code[1].decode() if code else ''}".strip(), repr(answer[:500]))
            if status.startswith(b"4"):
                self.refused.append(took_s)
            return
        self.took.setdefault(kind, []).append(took_s)
        body = answer[answer.index(_END) + len(_END) :]
        self.empty += body == _NOTHING[1] or _NOTHING[0] in body[-200:]

    def fail(self, reason: str, why: str) -> None:
        self.reasons[reason] += 1
        self.first_failure = self.first_failure or why


async def measure(plan: Plan) -> Seen:
    """Let the clients ask until the time is over."""
    wire = [(ask.kind, ask.wire(plan.host, plan.port)) for ask in plan.requests]
    requests = iter(wire) if plan.once else itertools.cycle(wire)
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
        tally.reasons.total(),
        tally.first_failure,
        cpu,
        elapsed,
        _times(sorted(tally.refused)),
        dict(tally.reasons.most_common()),
    )


async def _clients(plan: Plan, requests: Iterator[tuple[str, bytes]], tally: Tally) -> None:
    until = time.perf_counter() + plan.seconds
    await asyncio.gather(*(_client(plan, requests, tally, until) for _ in range(plan.clients)))


async def _client(plan: Plan, requests: Iterator[tuple[str, bytes]], tally: Tally, until: float) -> None:
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(Client, plan.host, plan.port)
    for kind, request in requests:
        began = time.perf_counter()
        if began > until:
            break
        try:
            answer = await client.ask(request)
        except Failed as failed:
            tally.fail(LOST, str(failed))
            client.close()
            _, client = await loop.create_connection(Client, plan.host, plan.port)
        else:
            tally.add(kind, time.perf_counter() - began, answer)
    client.close()


def _times(took: Sequence[float]) -> Times:
    """Percentiles by the nearest rank of what is sorted."""
    if not took:
        return Times(0, 0.0, 0.0, 0.0)
    p50, p95, p99 = (took[-(-len(took) * part // 100) - 1] for part in (50, 95, 99))
    return Times(len(took), _ms(p50), _ms(p99), _ms(p95))


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 2)


def in_a_process(plan: Plan) -> Seen:
    """Run a plan in a process of its own and wait for it, on a thread of the caller's."""
    return carried_out("ecom.bench.load", plan, Seen, limit_s=plan.seconds + _LIMIT_S)


def main() -> None:
    """Read the plan, carry it out, write what was seen."""
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(measure(plan))))


if __name__ == "__main__":
    main()
