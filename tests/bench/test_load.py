"""The load's own process: it counts what it is answered, and says what failed."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from ecom.bench.cpu import family_cpu_s
from ecom.bench.load import Ask, Plan, Seen, in_a_process, measure

FOUND = b'{"content":[{"productId":"1"}],"totalElements":1,"page":0,"size":20}'
NOTHING = b'{"content":[],"totalElements":0,"page":0,"size":20}'
ANSWERS = {
    b"/found": (b"200 OK", FOUND),
    b"/nothing": (b"200 OK", NOTHING),
    b"/none": (b"200 OK", b"[]"),
    b"/wrong": (b"500 Internal Server Error", b'{"title":"broken"}'),
    b"/refused": (b"400 Bad Request", b'{"title":"no","code":"NOT_ENOUGH"}'),
}


async def echo(reader: asyncio.StreamReader, head: bytes) -> tuple[bytes, bytes]:
    """Whether a POST came whole: its line, its own header, its type, and as much of a body as it says."""
    fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:-2])
    body = await reader.readexactly(int(fields[b"content-length"]))
    is_whole = head.startswith(b"POST /echo HTTP/1.1") and body.decode() == '{"name":"Zo\u00eb"}'
    is_said = fields[b"content-type"] == b"application/json" and fields[b"idempotency-key"].isdigit()
    return (b"201 Created", body) if is_whole and is_said else (b"400 Bad Request", body)


@pytest.fixture
async def server() -> AsyncIterator[int]:
    """Answers by path, each answer in two pieces; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ")[1]
                if path == b"/gone":
                    break
                status, body = await echo(reader, head) if path == b"/echo" else ANSWERS[path]
                writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body[:7])
                await writer.drain()
                await asyncio.sleep(0)
                writer.write(body[7:])
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield listening.sockets[0].getsockname()[1]
    listening.close()


def plan(port: int, *paths: str, seconds: float = 0.2) -> Plan:
    """Two clients, the paths in turn, each a kind of its own."""
    return Plan("127.0.0.1", port, 2, seconds, [Ask(path.strip("/"), path) for path in paths])


async def test_answers_are_counted_by_kind(server: int) -> None:
    """Every answer has its time, and those without a product are counted."""
    seen = await measure(plan(server, "/found", "/nothing", "/none"))
    assert set(seen.kinds) == {"found", "nothing", "none"}
    assert seen.all.count == sum(times.count for times in seen.kinds.values()) > 0
    assert seen.empty == seen.kinds["nothing"].count + seen.kinds["none"].count
    assert 0 < seen.all.p50_ms <= seen.all.p99_ms
    assert seen.per_s > 0
    assert (seen.failed, seen.first_failure) == (0, "")


async def test_an_error_is_no_answer(server: int) -> None:
    """A 500 and a connection that ends are failures, said once, and the clients go on."""
    seen = await measure(plan(server, "/found", "/wrong", "/gone"))
    assert seen.all.count == seen.kinds["found"].count > 1
    assert seen.failed > 1
    assert "broken" in seen.first_failure or "lost" in seen.first_failure


async def test_each_request_is_sent_once_with_its_body(server: int) -> None:
    """A plan of `once` ends with its last request; the server was given method, headers and body as they were said."""
    body = '{"name":"Zo\u00eb"}'
    asks = [Ask("post", "/echo", "POST", body, (("Idempotency-Key", str(number)),)) for number in range(5)]
    seen = await measure(Plan("127.0.0.1", server, 2, 30.0, asks, once=True))
    assert (seen.all.count, seen.failed) == (5, 0), seen.first_failure
    assert seen.elapsed_s < 30


async def test_refusals_are_timed_apart_and_counted_by_reason(server: int) -> None:
    """A 4xx is the client's, with its code; a 5xx and a lost connection are the server's."""
    asks = [Ask("any", path) for path in ("/found", "/refused", "/refused", "/wrong")]
    seen = await measure(Plan("127.0.0.1", server, 1, 30.0, asks, once=True))
    assert (seen.all.count, seen.refused.count, seen.server_errors) == (1, 2, 1)
    assert seen.reasons == {"400 NOT_ENOUGH": 2, "500": 1}
    assert seen.answered_per_s == pytest.approx(3 / seen.elapsed_s)


async def test_the_load_is_a_process_of_its_own(server: int) -> None:
    """The plan goes in and what was seen comes out, over pipes."""
    seen = await asyncio.to_thread(in_a_process, plan(server, "/found"))
    assert isinstance(seen, Seen)
    assert seen.all.count > 0
    assert seen.cpu_s > 0
    assert msgspec.json.decode(msgspec.json.encode(seen), type=Seen) == seen


def test_cpu_time_of_a_process_is_what_the_kernel_counts() -> None:
    """A twentieth of a second of ours is seen."""
    before, until = family_cpu_s(os.getpid()), time.process_time() + 0.05
    while time.process_time() < until:
        pass
    assert family_cpu_s(os.getpid()) >= before + 0.04
