"""Rebuilds that fail: the old index serves on, nothing of the new one is seen, and the next one starts clean."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from dovecote.schedule import JobContext
from dovecote.sql import Sql
from dovecote.testing import eventually
from ecom.search import catalogue_client, reindex, reindex_store
from ecom.search.catalogue_client import Catalogue, Listed
from ecom.search.reindex_store import RebuildLost, RebuildRuns
from tests.search.catalogues import Door, Original, answering
from tests.search.shelves import Shelves, open_shelves, product, searching

AGE = Sql("UPDATE index_state SET beat_at = beat_at - $1::interval")
STATE = Sql("SELECT live, building FROM index_state")


@pytest.fixture
async def shelves(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shelves]:
    """Ten products, all heard of; nobody waits long."""
    monkeypatch.setattr(reindex_store, "READERS_LATE", reindex_store.READERS_LATE * 0)
    monkeypatch.setattr(catalogue_client, "FIRST_PAUSE_S", 0.001)
    async with open_shelves(database_url) as shelves:
        await shelves.put(*(product(f"p{number:02}") for number in range(10)))
        await shelves.hear()
        yield shelves


async def slots(shelves: Shelves) -> tuple[str, str | None]:
    """Which slot serves, and which is being built."""
    row = await shelves.search.fetchrow(STATE)
    assert row is not None
    return row["live"], row["building"]


async def age(shelves: Shelves) -> None:
    """The process of the rebuild has not been heard of for a minute."""
    async with shelves.search.transaction() as tx:
        await tx.execute(AGE, reindex_store.STALE_AFTER * 2)


async def no_service(_: web.Request) -> web.Response:
    """A server that fails."""
    return web.Response(status=503)


async def no_products(_: web.Request) -> web.Response:
    """A server that has something else to say."""
    return web.Response(text="<html>")


def breaking(shelves: Shelves, good: int) -> Any:
    """The real service for so many pages, and failure after them."""
    door = Door(shelves.url, hold=0)

    async def answer(request: web.Request) -> web.Response:
        return await (no_service(request) if door.asked >= good else door(request))

    return answer


@pytest.mark.parametrize(
    ("source", "status", "code"),
    [
        ("no_service", 503, "CATALOGUE_AWAY"),
        ("no_products", 502, "CATALOGUE_UNREADABLE"),
        ("breaking", 503, "CATALOGUE_AWAY"),
    ],
)
async def test_a_source_that_fails_leaves_the_index_as_it_was(
    shelves: Shelves, source: str, status: int, code: str
) -> None:
    """502 or 503 says whose fault it is; the old index serves, hears on, and only it; the next rebuild succeeds."""
    before = await shelves.documents()
    answer = {"no_service": no_service, "no_products": no_products, "breaking": breaking(shelves, 2)}[source]
    async with answering(answer) as url, searching(shelves.search, url) as http:
        failed = await http.post("/api/search/reindex/products", params={"pageSize": 3})
    assert (failed.status_code, failed.json()["code"]) == (status, code)
    assert ("Retry-After" in failed.headers) == (status == 503)
    assert url in failed.json()["detail"]
    assert await slots(shelves) == ("a", None)
    state = await shelves.state()
    assert (state["state"], state["error"]) == ("FAILED", failed.json()["detail"])
    await shelves.put(product("new"))
    await shelves.hear()
    assert await shelves.documents() == {**before, "new": (await shelves.documents())["new"]}
    assert "new" not in await shelves.documents("b")
    after = await shelves.documents()
    assert (await shelves.reindex()).status_code == 200
    assert await shelves.documents() == after


async def test_nobody_at_the_address_is_a_service_away(shelves: Shelves, port: int) -> None:
    """A closed port: 503, naming it."""
    async with searching(shelves.search, f"http://127.0.0.1:{port}") as http:
        failed = await http.post("/api/search/reindex/products")
    assert (failed.status_code, failed.json()["code"]) == (503, "CATALOGUE_AWAY")
    assert str(port) in failed.json()["detail"]


async def test_a_failure_that_nobody_waits_for_stands_in_the_state(shelves: Shelves, port: int) -> None:
    """Ordered without waiting, it fails for whoever asks later."""
    async with searching(shelves.search, f"http://127.0.0.1:{port}") as http:
        ordered = await http.post("/api/search/reindex/products", params={"wait": "false"})
        assert ordered.status_code == 202

        async def has_failed() -> dict[str, Any] | None:
            state = await shelves.state()
            return state if state["state"] == "FAILED" else None

        assert str(port) in (await eventually(has_failed))["error"]


async def test_products_that_cannot_be_indexed_are_passed_over(shelves: Shelves) -> None:
    """One product with an impossible id, price or version costs itself, not the rebuild."""
    usual = {"name": "Tea", "price": 1, "category": "c", "brand": "b"}
    odd: list[dict[str, Any]] = [
        {**usual, "id": ""},
        {**usual, "id": "x" * 201},
        {**usual, "id": "nul\0"},
        {**usual, "id": "dear", "price": "1e400"},
        {**usual, "id": "versioned", "version": -1},
        {**usual, "id": "overflow", "version": 2**63 - 1, "name": "N\0ul"},
        {**usual, "id": "good"},
    ]
    async with answering(Original(odd)) as url, searching(shelves.search, url) as http:
        report = await http.post("/api/search/reindex/products")
    assert (report.status_code, report.json()["productsFetched"], report.json()["productsIndexed"]) == (200, 7, 2)
    assert await shelves.names() == {"good": "Tea", "overflow": "N ul"}


async def test_a_rebuild_whose_process_died_is_cleared_by_the_watch(shelves: Shelves) -> None:
    """While it may live, nobody touches it; not heard of for half a minute, it is over, and says so."""
    [watch] = reindex.jobs()
    context = JobContext(shelves.search, lag=lambda: asyncio.sleep(0, 0))
    await reindex_store.begin(shelves.search)
    await watch.run(context)
    assert await slots(shelves) == ("a", "b")
    await age(shelves)
    assert (await shelves.state())["state"] == "DEAD"
    await watch.run(context)
    assert await slots(shelves) == ("a", None)
    state = await shelves.state()
    assert (state["state"], state["error"]) == ("FAILED", "Its process ended in the middle of it.")


async def test_a_dead_rebuild_is_taken_over_at_once(shelves: Shelves) -> None:
    """Whoever orders a rebuild need not wait for the watch; what the dead one has left is not in the new index."""
    run = await reindex_store.begin(shelves.search)
    junk = reindex._changes([Listed(id="junk", name="Junk", price=Decimal(1))], run.started_at)
    await reindex_store.fill(shelves.search, run, junk, pages=1, fetched=1)
    with pytest.raises(RebuildRuns):
        await reindex_store.begin(shelves.search)
    before = await shelves.documents()
    await age(shelves)
    report = await shelves.reindex()
    assert (report.status_code, report.json()["productsFetched"]) == (200, 10)
    assert await shelves.documents() == before


async def test_a_rebuild_taken_for_dead_changes_nothing_any_more(shelves: Shelves) -> None:
    """Its process only slept: awake, it finds another run, stops, and leaves that one alone."""
    door = Door(shelves.url, hold=2)
    async with answering(door) as url:
        sleeper = await reindex_store.begin(shelves.search)
        sleeping = asyncio.create_task(
            reindex.rebuild(shelves.search, sleeper, Catalogue(url), reindex.Wish(page_size=3, purge_first=True))
        )
        await door.held.wait()
        await age(shelves)
        other = await reindex_store.begin(shelves.search)
        before = await shelves.documents(other.building)
        door.open.set()
        with pytest.raises(RebuildLost):
            await sleeping
    assert await slots(shelves) == ("a", "b")
    assert await shelves.documents(other.building) == before == {}
    wish = reindex.Wish(page_size=3, purge_first=True)
    done = await reindex.rebuild(shelves.search, other, Catalogue(shelves.url), wish)
    assert (done.live, done.fetched) == ("b", 10)


async def test_a_rebuild_that_is_called_off_is_over(shelves: Shelves) -> None:
    """A server that stops cancels it: the old index serves, and the next rebuild may begin at once."""
    door = Door(shelves.url, hold=2)
    async with answering(door) as url, searching(shelves.search, url) as http:
        ordered = asyncio.create_task(http.post("/api/search/reindex/products", params={"pageSize": 3}))
        await door.held.wait()
        ordered.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ordered
        assert await slots(shelves) == ("a", None)
        door.open.set()
    assert (await shelves.reindex()).status_code == 200


async def test_a_slow_rebuild_is_heard_of(shelves: Shelves, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that does not come for long is no death: the process beats on."""
    monkeypatch.setattr(reindex, "BEAT_EVERY_S", 0.02)
    door = Door(shelves.url, hold=1)
    async with answering(door) as url, searching(shelves.search, url) as http:
        ordered = asyncio.create_task(http.post("/api/search/reindex/products"))
        await door.held.wait()
        await age(shelves)

        async def is_alive() -> bool:
            return (await shelves.state())["state"] == "RUNNING"

        await eventually(is_alive)
        door.open.set()
        assert (await ordered).status_code == 200
