"""The client of the simulated provider: one HTTP request carries a batch, answers stream back.

Whatever goes wrong on the way (timeout, closed port, 5xx, a line that cannot be read) makes the answer
UNKNOWN.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import aiohttp
import msgspec

from ecom.provider.interface import Answer, Found, Held, Operation, Outcome, Request
from ecom.provider.wire import ABSENT, APPROVED, DECLINED, NDJSON, Lines, Order, Question, Reply, Sight

TIMEOUT = timedelta(seconds=2)
# What lies in our own socket when the time is over is read, however late our loop comes to it.
GRACE_SECONDS = 0.1

HEADERS = {"Content-Type": NDJSON}

L = TypeVar("L")

_encode = msgspec.json.Encoder().encode
_reply = msgspec.json.Decoder(Reply).decode
_sight = msgspec.json.Decoder(Sight).decode


@dataclass(slots=True)
class SimulatedProvider:
    """Speaks to `ecom.provider.server`. The timeout is each operation's: all of a batch are put at once."""

    url: str
    timeout: timedelta = TIMEOUT
    _kept: aiohttp.ClientSession | None = field(default=None, init=False, repr=False)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        if self._kept is not None:  # another service of this process keeps connections already
            yield
            return
        async with _session() as session:
            self._kept = session
            try:
                yield
            finally:
                self._kept = None

    def authorize(self, requests: Sequence[Request]) -> AsyncIterator[tuple[Request, Answer]]:
        return self._operate(Operation.AUTHORIZE, requests)

    def capture(self, requests: Sequence[Request]) -> AsyncIterator[tuple[Request, Answer]]:
        return self._operate(Operation.CAPTURE, requests)

    def void(self, requests: Sequence[Request]) -> AsyncIterator[tuple[Request, Answer]]:
        return self._operate(Operation.VOID, requests)

    def refund(self, requests: Sequence[Request]) -> AsyncIterator[tuple[Request, Answer]]:
        return self._operate(Operation.REFUND, requests)

    async def look_up(self, references: Sequence[str]) -> AsyncIterator[tuple[str, Found]]:
        waiting = set(references)
        lines = [_encode(Question(reference=reference)) for reference in waiting]
        trouble = _Trouble()
        async with aclosing(self._exchange("look-up", lines, _sight, trouble)) as sights:
            async for sight in sights:
                if sight.reference in waiting:
                    waiting.discard(sight.reference)
                    yield (
                        sight.reference,
                        Found(sight.held, sight.provider_id, sight.reason, sight.amount_minor, sight.currency),
                    )
        for reference in waiting:
            yield reference, Found(Held.UNKNOWN, reason=trouble.reason)

    async def _operate(
        self, operation: Operation, requests: Sequence[Request]
    ) -> AsyncIterator[tuple[Request, Answer]]:
        waiting = {request.key: request for request in requests}
        if len(waiting) != len(requests):
            raise ValueError("each request of a batch needs a key of its own")
        trouble = _Trouble()
        async with aclosing(self._exchange(operation.value, _lines(requests), _reply, trouble)) as replies:
            async for reply in replies:
                request = waiting.pop(reply.key, None)
                if request is not None:
                    yield request, _answer(reply)
        for request in waiting.values():
            yield request, Answer(Outcome.UNKNOWN, reason=trouble.reason)

    async def _exchange(
        self, path: str, lines: Sequence[bytes], decode: Callable[[bytes], L], trouble: "_Trouble"
    ) -> AsyncGenerator[L, None]:
        """The lines of the answer as they come; ends early, with the trouble named, when the provider is in
        any.
        """
        if not lines:
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.timeout.total_seconds()
        try:
            async with self._client() as session:
                async with asyncio.timeout_at(deadline):
                    response = await _post(session, f"{self.url}/v1/{path}", b"\n".join([*lines, b""]))
                async with response:
                    if response.status != 200:
                        trouble.reason = f"HTTP_{response.status}"
                        return
                    cut = Lines()
                    while True:
                        # the limit is on waiting, never on the caller's work between two answers
                        async with asyncio.timeout_at(max(deadline, loop.time() + GRACE_SECONDS)):
                            data = await response.content.readany()
                        if not data:
                            break
                        for line in cut.feed(data):
                            yield decode(line)
        except TimeoutError:
            trouble.reason = "TIMEOUT"
        except (aiohttp.ClientError, OSError):
            trouble.reason = "UNREACHABLE"
        except (msgspec.MsgspecError, ValueError):
            trouble.reason = "UNREADABLE"

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[aiohttp.ClientSession]:
        if self._kept is not None:
            yield self._kept
        else:
            async with _session() as session:
                yield session


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=None),  # we have our own
        connector=aiohttp.TCPConnector(limit=0),  # a call is never kept waiting for another's connection
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def _post(session: aiohttp.ClientSession, url: str, body: bytes) -> aiohttp.ClientResponse:
    """Put the question, and once more where a kept connection turned out to be gone: the keys make that safe.

    A call on a kept connection costs a third of one on its own, here and at the provider alike.
    """
    try:
        return await session.post(url, data=body, headers=HEADERS)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
        return await session.post(url, data=body, headers=HEADERS)


@dataclass(slots=True)
class _Trouble:
    """Why the rest of a batch has no answer."""

    reason: str = "NO_ANSWER"


def _lines(requests: Sequence[Request]) -> list[bytes]:
    return [
        _encode(
            Order(
                key=request.key,
                reference=request.reference,
                amount_minor=request.amount_minor,
                currency=request.currency,
                payment_method=request.payment_method,
            )
        )
        for request in requests
    ]


def _answer(reply: Reply) -> Answer:
    if reply.status == APPROVED:
        return Answer(Outcome.APPROVED, reply.provider_id)
    if reply.status in (DECLINED, ABSENT):
        return Answer(Outcome.DECLINED, reply.provider_id, reply.reason)
    return Answer(Outcome.UNKNOWN, reason=reply.reason or f"HTTP_{reply.status}")
