"""The simulated payment provider: a process of its own that moves no money.

POST /v1/{authorize,capture,void,refund} and /v1/look-up take NDJSON and stream NDJSON back as each line is
decided; a decision is on disk before its answer leaves. GET /healthz says that it lives, GET / that it is a
simulator.
"""

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import structlog
import uvloop
from aiohttp import web

from ecom.provider.book import Book
from ecom.provider.interface import Operation
from ecom.provider.ledger import Ledger
from ecom.provider.plan import LATE, Planner
from ecom.provider.wire import (
    CONFLICT,
    MALFORMED,
    NDJSON,
    UNAVAILABLE,
    Lines,
    Order,
    Question,
    Reply,
)

log = structlog.get_logger("ecom.provider")

ADDRESS_FILE = "provider.url"
_BANNER = "ecom simulated payment provider: no money moves here, do not use it for real payments.\n"
_HEADERS = {"Content-Type": NDJSON, "X-Simulator": "ecom"}
_STOP_SECONDS = 2.0
_BODY_BYTES_MAX = 8 * 1024 * 1024

_encode = msgspec.json.Encoder().encode
_order = msgspec.json.Decoder(Order).decode
_question = msgspec.json.Decoder(Question).decode

Answerer = Callable[[Reply], None]


class Simulator:
    """The desk: takes an order line, decides it by plan and book, and answers when the ledger has it."""

    def __init__(self, ledger: Ledger, *, seed: int, late: timedelta = LATE) -> None:
        self._ledger = ledger
        self._planner = Planner(seed, late)
        self._book = Book(seed)
        self._tries: dict[str, int] = {}
        self._in_progress: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for entry in ledger.read():
            self._book.apply(entry)

    def take(self, operation: Operation, orders: Iterable[Order], answer: Answerer) -> None:
        """Decide a chunk of lines; each is answered once, now or later, as its card wants it."""
        prompt: list[Reply] = []
        for order in orders:
            plan = self._planner.plan(operation, order.payment_method, order.key, order.amount_minor)
            if self._book.knows(order.key):
                prompt.append(self._decide(operation, order, plan.refusal))
            elif order.key in self._in_progress:
                prompt.append(Reply(key=order.key, status=CONFLICT, reason="IN_PROGRESS"))
            elif plan.failing_tries > self._tries.get(order.key, 0):
                self._tries[order.key] = self._tries.get(order.key, 0) + 1
                prompt.append(Reply(key=order.key, status=UNAVAILABLE, reason="UNAVAILABLE"))
            elif plan.work_after:
                self._in_progress.add(order.key)
                self._later(plan.work_after, self._work_late, operation, order, plan.refusal, answer)
            elif plan.answer_after:
                reply = self._decide(operation, order, plan.refusal)
                self._later(plan.answer_after, self._when_durable, [reply], answer)
            else:
                prompt.append(self._decide(operation, order, plan.refusal))
        # also for what is answered late: the work itself is done now
        self._when_durable(prompt, answer)

    def look_up(self, reference: str) -> bytes:
        return _encode(self._book.look_up(reference))

    async def durable(self) -> None:
        """A look up may show what is decided and not yet on disk: it waits as an answer does."""
        await self._ledger.durable()

    def _decide(self, operation: Operation, order: Order, refusal: str | None) -> Reply:
        verdict = self._book.decide(operation, order, datetime.now(UTC), refusal)
        if verdict.entry is not None:
            self._ledger.append([verdict.entry])
        return verdict.reply

    def _work_late(self, operation: Operation, order: Order, refusal: str | None, answer: Answerer) -> None:
        self._in_progress.discard(order.key)
        self._when_durable([self._decide(operation, order, refusal)], answer)

    def _when_durable(self, replies: list[Reply], answer: Answerer) -> None:
        task = asyncio.create_task(self._answer(replies, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, replies: list[Reply], answer: Answerer) -> None:
        try:
            await self._ledger.durable()
        except OSError as error:
            # crash-only: what the disk has is unknown now, and the next start reads it from there
            if not self.broken.done():
                self.broken.set_exception(error)
            return
        for reply in replies:
            answer(reply)

    def _later(self, delay: timedelta, act: Callable[..., None], *args: object) -> None:
        asyncio.get_running_loop().call_later(delay.total_seconds(), act, *args)


def application(simulator: Simulator) -> web.Application:
    async def home(_: web.Request) -> web.Response:
        return web.Response(text=_BANNER)

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"status": "UP", "simulator": True})

    async def operate(request: web.Request) -> web.StreamResponse:
        operation = Operation(request.match_info["operation"])
        replies: asyncio.Queue[bytes] = asyncio.Queue()

        def answer(reply: Reply) -> None:
            replies.put_nowait(_encode(reply) + b"\n")

        response = web.StreamResponse(headers=_HEADERS)
        await response.prepare(request)
        asked = 0
        async for chunk in _chunks(request):
            asked += len(chunk)
            orders = []
            for line in chunk:
                try:
                    orders.append(_order(line))
                except msgspec.MsgspecError as error:
                    answer(Reply(key="", status=MALFORMED, reason=str(error)))
            simulator.take(operation, orders, answer)
        while asked:
            lines = [await replies.get()]
            while not replies.empty():
                lines.append(replies.get_nowait())
            asked -= len(lines)
            await response.write(b"".join(lines))
        await response.write_eof()
        return response

    async def look_up(request: web.Request) -> web.Response:
        try:
            questions = [_question(line) for line in (await request.read()).split(b"\n") if line]
        except msgspec.MsgspecError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        sights = [simulator.look_up(question.reference) for question in questions]
        await simulator.durable()
        return web.Response(body=b"\n".join([*sights, b""]), headers=_HEADERS)

    app = web.Application(client_max_size=_BODY_BYTES_MAX)
    app.router.add_get("/", home)
    app.router.add_get("/healthz", health)
    app.router.add_post("/v1/{operation:authorize|capture|void|refund}", operate)
    app.router.add_post("/v1/look-up", look_up)
    return app


async def _chunks(request: web.Request) -> AsyncIterator[list[bytes]]:
    """The body as lists of lines, as they arrive: a list is decided together and shares one write to disk."""
    cut = Lines()
    async for data in request.content.iter_any():
        if lines := list(cut.feed(data)):
            yield lines
    if rest := list(cut.end()):
        yield rest


async def serve(*, port: int, home: Path, seed: int, address: str = "127.0.0.1", late: timedelta = LATE) -> None:
    """Run until SIGTERM or SIGINT. Port 0 takes a free one; `home/provider.url` says which.

    Raises LedgerError where another process has the ledger, OSError where the port is in use or the disk
    fails.
    """
    ledger = Ledger(home)
    simulator = Simulator(ledger, seed=seed, late=late)
    runner = web.AppRunner(application(simulator), access_log=None, shutdown_timeout=_STOP_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, address, port, backlog=512)
        await site.start()
        host, bound = runner.addresses[0][:2]
        url = f"http://{host}:{bound}"
        _announce(home, url)
        log.warning("simulated payment provider listens: no money moves here", url=url, seed=seed)
        await _until_stopped(simulator.broken)
    finally:
        await runner.cleanup()
        with contextlib.suppress(OSError):
            await ledger.durable()
        ledger.close()


def main(*, port: int, home: Path, seed: int, address: str = "127.0.0.1", late: timedelta = LATE) -> None:
    """`./ecom provider`: blocks until stopped."""
    # Its books only grow: collecting as often as Python does by itself was four tenths of this process's work.
    gc.set_threshold(50_000, 50, 100)
    uvloop.run(serve(port=port, home=home, seed=seed, address=address, late=late))


async def _until_stopped(broken: asyncio.Future[None]) -> None:
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[None] = loop.create_future()

    def stop() -> None:
        if not stopped.done():
            stopped.set_result(None)

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop)
    await asyncio.wait((stopped, broken), return_when=asyncio.FIRST_COMPLETED)
    if broken.done():
        broken.result()


def _announce(home: Path, url: str) -> None:
    """Written whole or not at all: whoever waits for the file may read it at once."""
    draft = home / f".{ADDRESS_FILE}.{os.getpid()}"
    draft.write_text(url + "\n")
    draft.replace(home / ADDRESS_FILE)
