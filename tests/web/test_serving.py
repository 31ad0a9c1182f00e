"""What leaves the socket: whole answers, whether their head and body leave together or in many parts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from ecom import serving as door
from ecom.serving import base_url, bind, serving

PARTS = {"/plain": [b"bread"], "/empty": [b""], "/parts": [b"one", b"two", b"three"]}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers by path; one without a length is chunked."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    body, parts = b"", PARTS.get(scope["path"])
    if parts is None:
        while (message := await receive()).get("more_body"):
            body += message["body"]
        parts = [body + message["body"]]
    headers = [] if len(parts) > 1 else [(b"content-length", b"%d" % len(parts[0]))]
    await send({"type": "http.response.start", "status": 200 if parts != [b""] else 204, "headers": headers})
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


@contextlib.asynccontextmanager
async def server() -> AsyncIterator[str]:
    """The application on a socket; its address."""
    with contextlib.closing(bind("127.0.0.1", 0)) as taken:
        async with serving(app, taken):
            yield base_url(taken)


@pytest.mark.parametrize("path", PARTS)
async def test_answers_arrive_whole(path: str) -> None:
    """With a length, without a body, and in parts, one after the other on one connection."""
    async with server() as url, httpx.AsyncClient(base_url=url) as client:
        for _ in range(3):
            assert (await client.get(path)).content == b"".join(PARTS[path])


async def test_a_client_that_waits_to_be_told_to_continue_is_told() -> None:
    """100 Continue is no head that waits for a body."""
    async with server() as url:
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        async with asyncio.timeout(5):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"bread")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(5) == b"bread"
        writer.close()


async def test_a_connection_is_kept_as_long_as_we_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than a balancer keeps it, so that it is never the server who hangs up first."""
    assert door.KEEP_ALIVE_S > 60
    monkeypatch.setattr(door, "KEEP_ALIVE_S", 0.1)
    async with server() as url:
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /plain HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(3):
            assert (await reader.readuntil(b"bread")).endswith(b"bread")
            assert await reader.read() == b""
        writer.close()
