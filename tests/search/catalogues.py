"""Product services for rebuilds: the original's manner of paging, a door that can be held shut, and nonsense."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def answering(answer: Answer, path: str = "/api/products") -> AsyncIterator[str]:
    """An HTTP server of one path; its address."""

    async def handle(request: web.Request) -> web.Response:
        return await answer(request)

    app = web.Application()
    app.router.add_get(path, handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


class Original:
    """The original's product service: pages by number, knows neither ``after`` nor versions."""

    def __init__(self, products: Sequence[dict[str, Any]]) -> None:
        self.products = list(products)
        self.before_page: Callable[[int], Any] = lambda _: None

    async def __call__(self, request: web.Request) -> web.Response:
        number, size = int(request.query.get("page", 0)), int(request.query.get("size", 20))
        held = self.before_page(number)
        if held is not None:
            await held
        everything = sorted(self.products, key=lambda product: product["name"])
        content = everything[number * size : (number + 1) * size]
        pages = -(-len(everything) // size)
        return web.json_response(
            {
                "content": content,
                "totalElements": len(everything),
                "totalPages": pages,
                "number": number,
                "size": size,
                "first": number == 0,
                "last": number >= pages - 1,
            }
        )


class Door:
    """A door to a real product service: it lets pages through until the n-th, which it reads and then holds."""

    def __init__(self, url: str, *, hold: int) -> None:
        self.url = url
        self.hold = hold
        self.asked = 0
        self.held = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, request: web.Request) -> web.Response:
        self.asked += 1
        number = self.asked
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}{request.rel_url}") as answer:
            body = await answer.read()
        if number == self.hold:
            self.held.set()
            await self.open.wait()
        return web.Response(status=answer.status, body=body, content_type="application/json")
