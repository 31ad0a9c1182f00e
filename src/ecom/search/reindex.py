"""A rebuild of the index: every product, read from the product service, into the slot that does not serve.

While pages are read, events write both slots, each guarded by version: a page that was read before an event never
undoes it. Whatever goes wrong, the slot that serves has not been touched. A process that dies leaves a rebuild of which
nothing is heard; after half a minute it counts as ended.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from dovecote.database import Database
from dovecote.errors import DovecoteError, is_environment
from dovecote.schedule import Job, JobContext
from ecom.search import reindex_store
from ecom.search.catalogue_client import Listed
from ecom.search.domain import PRODUCT_ID_MAX, Change, Upserted, upserted
from ecom.search.reindex_store import Progress, Run

PAGES_AHEAD_MAX = 2
"""Pages that are read while others are written; they are then written together."""
BEAT_EVERY_S = 5.0
WATCH_EVERY = timedelta(seconds=10)
VERSION_MAX = 2**63 - 1

log = structlog.get_logger("ecom.search.reindex")


class Pages(Protocol):
    """Where the products are read."""

    def pages(self, size: int) -> AsyncGenerator[Sequence[Listed], None]:
        """Every product there is, in pages."""
        ...


@dataclass(frozen=True, slots=True)
class Wish:
    """How it is to be done: in pages of which size, and whether documents that no page names are left behind."""

    page_size: int
    purge_first: bool


def jobs() -> Sequence[Job]:
    """The watch over rebuilds whose process died."""

    async def watch(context: JobContext) -> None:
        if await reindex_store.clear_stale(context.database):
            log.warning("a rebuild died; the index serves as before")

    return [Job("search-reindex-watch", WATCH_EVERY, watch)]


async def rebuild(database: Database, run: Run, source: Pages, wish: Wish) -> Progress:
    """Carry out a rebuild that has begun; says what became of it.

    Raises what the source raises, RebuildLost and UnavailableError; the index serves as before then.
    """
    beating = asyncio.create_task(_beat(database, run))
    try:
        await _read_all(database, run, source, wish.page_size)
        await reindex_store.take_over(database, run, everything=not wish.purge_first)
        await reindex_store.settle(database, run)
        done = await reindex_store.swap(database, run)
    except BaseException as error:
        why = str(error) if isinstance(error, DovecoteError) else type(error).__name__
        log.warning("a rebuild ended early; the index serves as before", why=why)
        with contextlib.suppress(DovecoteError):  # without a database, its silence says the same
            await reindex_store.abandon(database, run, why)
        raise
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
    log.info("the index was rebuilt", pages=done.pages, products=done.fetched, purged=done.purged)
    return done


async def _read_all(database: Database, run: Run, source: Pages, size: int) -> None:
    """Read and write at the same time; pages that have come meanwhile are written together."""
    come: asyncio.Queue[Sequence[Listed] | None] = asyncio.Queue()
    room = asyncio.Semaphore(PAGES_AHEAD_MAX)

    async def read() -> None:
        async with contextlib.aclosing(source.pages(size)) as pages:
            async for page in pages:
                await room.acquire()
                come.put_nowait(page)

    reading = asyncio.create_task(read())
    reading.add_done_callback(lambda _: come.put_nowait(None))
    try:
        while pages := await _all_that_have_come(come):
            for _ in pages:
                room.release()
            listed = [product for page in pages for product in page]
            changes = _changes(listed, run.unversioned_at)
            await reindex_store.fill(database, run, changes, pages=len(pages), fetched=len(listed))
        await reading
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _all_that_have_come(come: asyncio.Queue[Sequence[Listed] | None]) -> list[Sequence[Listed]]:
    """At least one page, or none where there will be no more."""
    pages = []
    page = await come.get()
    while page is not None:
        pages.append(page)
        if come.empty():
            return pages
        page = come.get_nowait()
    if pages:
        come.put_nowait(None)
    return pages


async def _beat(database: Database, run: Run) -> None:
    while True:
        await asyncio.sleep(BEAT_EVERY_S)
        try:
            await reindex_store.beat(database, run)
        except DovecoteError as error:
            if not is_environment(error):
                raise


def _changes(listed: Iterable[Listed], unversioned_at: datetime) -> list[Change]:
    """Products of pages as changes; one that cannot be indexed is left out, as its event would be.

    A product with a version was changed when it says.
    """
    changes = []
    for product in listed:
        try:
            changes.append(_change(product, product.changed_at or unversioned_at))
        except ValueError as error:
            log.warning("a product cannot be indexed", product=product.id[:PRODUCT_ID_MAX], why=str(error))
    return changes


def _change(product: Listed, occurred_at: datetime) -> Change:
    if not 1 <= len(product.id) <= PRODUCT_ID_MAX or "\0" in product.id:
        raise ValueError("its id is none that can be kept")
    if product.version is not None and not 0 <= product.version <= VERSION_MAX:
        raise ValueError("its version is none that can be kept")
    event = Upserted(
        product_id=product.id,
        name=product.name,
        price=str(product.price),
        description=product.description,
        category=product.category,
        brand=product.brand,
        colors=product.colors,
        sizes=product.sizes,
        active=product.active,
        version=product.version,
    )
    return upserted(event, occurred_at)
