"""The product service as search reads it for a rebuild: every product, a page at a time, over HTTP.

Ours pages by key (``after`` and ``next``): nothing that is there all the time is missed or read twice. The original
knows only page numbers: there a product may be passed over when another is deleted meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated

import aiohttp
import msgspec
from msgspec import UNSET, Meta, UnsetType

from dovecote.errors import DovecoteError

PATH = "/api/products"
TRIES_MAX = 4
FIRST_PAUSE_S = 0.2
ANSWER_S = 10.0
PAGE_BYTES_MAX = 32 * 2**20
_PASSING = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT}


class CatalogueAway(DovecoteError):
    """The product service cannot be reached now."""

    retriable = True


class CatalogueUnreadable(DovecoteError):
    """What answers there does not answer as a product service."""


class Listed(msgspec.Struct, frozen=True, rename="camel"):
    """A product of a page. Only ours says a version; without one ``updated_at`` means whatever its writer means."""

    id: str
    name: str
    price: Decimal
    category: str | None = None
    brand: str | None = None
    description: str | None = None
    colors: tuple[str, ...] | None = None
    sizes: tuple[str, ...] | None = None
    active: bool | None = None
    version: int | None = None
    updated_at: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def changed_at(self) -> datetime | None:
        """When the change was made whose version this is, where that can be read."""
        if self.version is None:
            return None
        try:
            return _instant(self.updated_at)
        except msgspec.MsgspecError:
            return None


class Page(msgspec.Struct, frozen=True, rename="camel"):
    """An answer of GET /api/products."""

    content: tuple[Listed, ...]
    next: str | UnsetType | None = UNSET
    last: bool | None = None


_page = msgspec.json.Decoder(Page).decode
_Moment = Annotated[datetime, Meta(tz=True)] | None
_instant: Callable[[msgspec.Raw], datetime | None] = msgspec.json.Decoder(_Moment).decode


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The product service at an address."""

    url: str

    async def pages(self, size: int) -> AsyncGenerator[Sequence[Listed], None]:
        """Every product there is, in pages.

        Raises CatalogueAway where the service does not answer however often it is asked, and CatalogueUnreadable
        where its answer makes no sense.
        """
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        async with aiohttp.ClientSession(timeout=timeout, auto_decompress=True) as session:
            first = await self._page(session, {"after": "", "size": size})
            pages = self._numbered(session, size) if first.next is UNSET else self._by_key(session, first, size)
            async for content in pages:
                yield content

    async def _by_key(
        self, session: aiohttp.ClientSession, page: Page, size: int
    ) -> AsyncGenerator[Sequence[Listed], None]:
        after = ""
        while True:
            ids = [product.id for product in page.content]
            if ids != sorted(set(ids)) or (ids and ids[0] <= after):
                raise CatalogueUnreadable(f"{self.url} does not list products in the order of their ids.")
            if page.content:
                yield page.content
            if not isinstance(page.next, str):
                return
            if not ids or page.next != ids[-1]:
                raise CatalogueUnreadable(f"{self.url} does not go on behind the last product of a page.")
            after = page.next
            page = await self._page(session, {"after": after, "size": size})

    async def _numbered(self, session: aiohttp.ClientSession, size: int) -> AsyncGenerator[Sequence[Listed], None]:
        number, before = 0, frozenset[str]()
        while True:
            asked: dict[str, str | int] = {"page": number, "size": size, "sortBy": "name", "direction": "asc"}
            page = await self._page(session, asked)
            ids = frozenset(product.id for product in page.content)
            if ids and ids <= before:
                raise CatalogueUnreadable(f"{self.url} answers page after page with the same products.")
            if page.content:
                yield page.content
            if not page.content or page.last is True:
                return
            number, before = number + 1, ids

    async def _page(self, session: aiohttp.ClientSession, asked: dict[str, str | int]) -> Page:
        pause = FIRST_PAUSE_S
        for tried in range(1, TRIES_MAX + 1):
            try:
                return await self._ask(session, asked)
            except CatalogueAway:
                if tried == TRIES_MAX:
                    raise
            await asyncio.sleep(pause)
            pause *= 2
        raise AssertionError("the last try answers or raises")

    async def _ask(self, session: aiohttp.ClientSession, asked: dict[str, str | int]) -> Page:
        try:
            async with session.get(f"{self.url}{PATH}", params=asked, allow_redirects=False) as answer:
                if answer.status != HTTPStatus.OK:
                    raise self._refusal(answer.status)
                body = await answer.content.read(PAGE_BYTES_MAX)
                while len(body) < PAGE_BYTES_MAX and (more := await answer.content.read(PAGE_BYTES_MAX - len(body))):
                    body += more
        except aiohttp.InvalidURL as error:
            raise CatalogueUnreadable(f"{self.url} is not an address.") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise CatalogueAway(f"{self.url} does not answer ({type(error).__name__}).") from error
        try:
            return _page(body)
        except (msgspec.MsgspecError, ValueError) as error:  # ValueError: bytes that are no UTF-8
            raise CatalogueUnreadable(f"{self.url} answers something else than a page of products: {error}") from error

    def _refusal(self, status: int) -> DovecoteError:
        sentence = f"{self.url} answers {status} when asked for products."
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING:
            return CatalogueAway(sentence)
        return CatalogueUnreadable(sentence)
