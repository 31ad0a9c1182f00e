"""A rebuild over HTTP: ordered, waited for or not, and looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery, QueryParameter

from dovecote.database import Database
from ecom.search import reindex, reindex_store
from ecom.search.catalogue_client import PATH, Catalogue, CatalogueAway, CatalogueUnreadable
from ecom.search.reindex_store import Progress, RebuildLost, RebuildRuns, Run
from ecom.web.problems import RETRY_AFTER_SECONDS, Problem

PAGE_SIZE_MAX = 200
ALONE = "http://127.0.0.1:8083"
"""The product service of the same machine, where it runs in a process of its own."""


class Report(msgspec.Struct, frozen=True, rename="camel"):
    """What a rebuild did. ``purged`` are the products that were found before it and are no longer."""

    purged: int
    pages_processed: int
    products_fetched: int
    products_indexed: int
    completed_at: datetime | None


class State(msgspec.Struct, frozen=True, rename="camel"):
    """The rebuild under way, or the last one."""

    state: str
    pages: int
    fetched: int
    indexed: int
    purged: int
    started_at: datetime | None
    beat_at: datetime | None
    completed_at: datetime | None
    error: str | None


def routes(database: Database, *, base_url: str, swapped: Callable[[], None]) -> list[HTTPRouteHandler]:
    """The calls; ``base_url`` is the product service as configured, ``swapped`` tells this process's readers."""
    running: set[asyncio.Task[Progress]] = set()

    async def rebuild(run: Run, source: Catalogue, wish: reindex.Wish) -> Progress:
        done = await reindex.rebuild(database, run, source, wish)
        swapped()
        return done

    @post("/api/search/reindex/products", status_code=200)
    async def start(
        request: Request[Any, Any, Any],
        purgeFirst: FromQuery[bool] = True,  # noqa: N803, FBT002  as on the wire
        pageSize: Annotated[int, QueryParameter(ge=1, le=PAGE_SIZE_MAX)] = PAGE_SIZE_MAX,  # noqa: N803
        wait: FromQuery[bool] = True,  # noqa: FBT002
    ) -> Response[Report | State]:
        """Rebuild the index from the product service; without ``wait`` the answer is 202 and GET says how far it is."""
        source = Catalogue((base_url or _own(request)).rstrip("/"))
        try:
            run = await reindex_store.begin(database)
        except RebuildRuns as error:
            raise Problem(409, "REINDEX_RUNNING", str(error)) from error
        task = asyncio.create_task(rebuild(run, source, reindex.Wish(pageSize, purgeFirst)))
        if not wait:
            running.add(task)
            task.add_done_callback(_heard(running))
            return Response(_state(await reindex_store.read(database), database.now), status_code=HTTPStatus.ACCEPTED)
        try:
            return Response(_report(await task))
        except CatalogueAway as error:
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            raise Problem(503, "CATALOGUE_AWAY", str(error), headers=headers) from error
        except CatalogueUnreadable as error:
            raise Problem(502, "CATALOGUE_UNREADABLE", str(error)) from error
        except RebuildLost as error:
            raise Problem(409, "REINDEX_LOST", str(error)) from error

    @get("/api/search/reindex/products")
    async def progress() -> State:
        """How far the rebuild is, or what became of the last one."""
        return _state(await reindex_store.read(database), database.now)

    return [start, progress]


def _heard(running: set[asyncio.Task[Progress]]) -> Callable[[asyncio.Task[Progress]], None]:
    """What became of a rebuild stands in its state and in the log; here it only must not be forgotten."""

    def heard(task: asyncio.Task[Progress]) -> None:
        running.discard(task)
        if not task.cancelled():
            task.exception()

    return heard


def _own(request: Request[Any, Any, Any]) -> str:
    """This server's own address where the product service is behind it, else that of one alone."""
    server = request.scope.get("server")
    is_here = any(route.path == PATH for route in request.app.routes)
    if not is_here or server is None or server[1] is None:
        return ALONE
    host = f"[{server[0]}]" if ":" in server[0] else server[0]
    return f"http://{host}:{server[1]}"


def _report(done: Progress) -> Report:
    return Report(
        purged=done.purged,
        pages_processed=done.pages,
        products_fetched=done.fetched,
        products_indexed=done.indexed,
        completed_at=done.completed_at,
    )


def _state(known: Progress, now: datetime) -> State:
    if known.building is not None:
        state = "RUNNING" if known.is_alive(now) else "DEAD"
    elif known.started_at is None:
        state = "NONE"
    else:
        state = "FAILED" if known.error is not None else "DONE"
    return State(
        state=state,
        pages=known.pages,
        fetched=known.fetched,
        indexed=known.indexed,
        purged=known.purged,
        started_at=known.started_at,
        beat_at=known.beat_at,
        completed_at=known.completed_at,
        error=known.error,
    )
