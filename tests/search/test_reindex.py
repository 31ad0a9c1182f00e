"""A rebuild beside live events, on the real product service: the new index is what the events alone would have made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from dovecote.sql import Sql
from dovecote.testing import eventually
from ecom.search import postgres, reindex_store
from tests.search.catalogues import Door, answering
from tests.search.shelves import Shelves, open_shelves, product, searching

_FIRST = Sql("SELECT topic, value FROM outbox_event_record ORDER BY id LIMIT 1")
_LAST = Sql("SELECT topic, value FROM outbox_event_record ORDER BY id DESC LIMIT 1")
_PRODUCTS = Sql("SELECT id, version, deleted FROM product")
_FORGET_INBOX = Sql("DELETE FROM consumed_event_record")
_LOSE = Sql("DELETE FROM document WHERE product_id = ANY($1::text[])")


@pytest.fixture
async def shelves(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shelves]:
    """Both services; no reader looks at a slot for longer than a moment after a swap."""
    monkeypatch.setattr(reindex_store, "READERS_LATE", reindex_store.READERS_LATE * 0)
    async with open_shelves(database_url) as shelves:
        yield shelves


async def stock(shelves: Shelves, count: int = 10) -> None:
    """Products, all of them heard of."""
    await shelves.put(*(product(f"p{number:02}") for number in range(count)))
    await shelves.hear()


async def test_a_rebuild_makes_the_index_that_the_events_made(shelves: Shelves) -> None:
    """Changed, deleted, inactive and priceless products: row for row the same, and the words count the same."""
    await stock(shelves)
    await shelves.put(
        product("p01", "Green tea, 20 ct"),
        product("p02", active=False, price=Decimal(0), description="Loose", colors=("red", "blue")),
        product("accents", "Crème brûlée"),
    )
    await shelves.remove("p03", "p04")
    await shelves.put(product("p04", "Back again"))
    await shelves.hear()
    before = await shelves.documents()
    first = await shelves.reindex(pageSize=3)
    assert first.status_code == 200, first.text
    assert await shelves.documents() == before
    words = await shelves.words()
    assert words
    assert (await shelves.reindex()).status_code == 200
    assert (await shelves.documents(), await shelves.words()) == (before, words)


@pytest.mark.parametrize("purge", [True, False])
async def test_the_report_counts_what_was_done(shelves: Shelves, *, purge: bool) -> None:
    """Pages, products, and the documents that are found no longer: those that no page named, where they are purged."""
    await stock(shelves)
    ghosts = [{"productId": f"ghost{number}", "name": "Ghost", "price": 1} for number in range(3)]
    await shelves.http.post("/api/search/index/products/bulk", json=ghosts)
    report = (await shelves.reindex(purgeFirst=str(purge).lower(), pageSize=4)).json()
    completed_at = report.pop("completedAt")
    assert completed_at is not None
    assert report == {
        "purged": 3 if purge else 0,
        "pagesProcessed": 3,
        "productsFetched": 10,
        "productsIndexed": 10,
    }
    assert len(await shelves.names()) == (10 if purge else 13)
    state = await shelves.state()
    assert (state["state"], state["pages"], state["fetched"], state["completedAt"]) == ("DONE", 3, 10, completed_at)


@pytest.mark.parametrize("hold", [1, 2, 3])
async def test_what_happens_in_the_midst_of_a_rebuild_is_there_after_it(shelves: Shelves, hold: int) -> None:
    """A page is read and held back; meanwhile products change, come and go, and are heard of. Nothing is undone."""
    await stock(shelves)
    door = Door(shelves.url, hold=hold)
    async with answering(door) as url, searching(shelves.search, url) as http:
        shelves.http = http
        ordered = asyncio.create_task(shelves.reindex(pageSize=4))
        await door.held.wait()
        await shelves.put(product("p00", "Changed early"), product("p05", "Changed", price=Decimal(9)), product("new"))
        await shelves.remove("p01", "p06", "p09")
        await shelves.put(product("p09", "Risen"))
        await shelves.hear()
        live = await shelves.documents()
        assert live["p05"]["name"] == "Changed"  # the old index serves, and goes on hearing
        assert (await shelves.state())["state"] == "RUNNING"
        door.open.set()
        answer = await ordered
    assert answer.status_code == 200, answer.text
    assert await shelves.documents() == live
    names = await shelves.names()
    assert (names["p00"], names["p05"], names["p09"]) == ("Changed early", "Changed", "Risen")
    assert set(names) == {"p00", "p02", "p03", "p04", "p05", "p07", "p08", "p09", "new"}


async def test_news_that_comes_after_the_swap_finds_what_it_expects(shelves: Shelves) -> None:
    """What happens in mid-rebuild is only heard of behind the swap, an old event late: the last word stands."""
    await stock(shelves)
    await shelves.put(product("p02", "Old"))
    late = await shelves.products.fetch(_LAST)
    await shelves.put(product("p02", "Newer"))
    await shelves.remove("p03")
    await shelves.hear()
    door = Door(shelves.url, hold=2)
    async with answering(door) as url, searching(shelves.search, url) as http:
        shelves.http = http
        ordered = asyncio.create_task(shelves.reindex(pageSize=4))
        await door.held.wait()
        await shelves.put(product("p01", "Told late"), product("p02", "Newest"))
        await shelves.remove("p04")
        door.open.set()
        assert (await ordered).status_code == 200
    before = await shelves.documents()
    assert before["p03"]["deleted"]
    await shelves.hear()
    await shelves.bench.deliver(*(shelves.bench.raw(row["topic"], row["value"]) for row in late))
    names = await shelves.names()
    assert (names["p01"], names["p02"]) == ("Told late", "Newest")
    assert not {"p03", "p04"} & set(names)


async def test_late_news_in_mid_rebuild_does_not_wake_the_dead(shelves: Shelves) -> None:
    """An old event of a deleted product comes while the new slot is still empty: the tombstone has the last word."""
    await stock(shelves)
    first = await shelves.products.fetch(_FIRST)
    await shelves.remove("p00")
    await shelves.hear()
    door = Door(shelves.url, hold=1)
    async with answering(door) as url, searching(shelves.search, url) as http:
        shelves.http = http
        ordered = asyncio.create_task(shelves.reindex(pageSize=4))
        await door.held.wait()
        await shelves.search.fetch(_FORGET_INBOX)  # as if it were another event of the same contents
        await shelves.bench.deliver(*(shelves.bench.raw(row["topic"], row["value"]) for row in first))
        [built] = [slot for slot in "ab" if "p00" in await shelves.documents(slot) and slot != "a"]
        assert not (await shelves.documents(built))["p00"]["deleted"]
        door.open.set()
        assert (await ordered).status_code == 200
    assert (await shelves.documents())["p00"]["deleted"]


async def test_a_rebuild_mends_what_operators_and_losses_have_done(shelves: Shelves) -> None:
    """A document deleted, changed or lost by mistake is there again as the product service has it."""
    await stock(shelves)
    right = await shelves.documents()
    assert (await shelves.http.delete("/api/search/index/products/p01")).status_code == 204
    wrong = {"productId": "p02", "name": "Wrong", "price": 1, "version": 99}
    await shelves.http.post("/api/search/index/products", json=wrong)
    await shelves.http.post("/api/search/index/products", json={"productId": "p03", "name": "Wrong", "price": 1})
    async with shelves.search.transaction() as tx:
        await tx.execute(_LOSE, ["p04"])
    assert await shelves.documents() != right
    await shelves.reindex()
    assert await shelves.documents() == right


async def test_an_operators_word_in_mid_rebuild_stays(shelves: Shelves) -> None:
    """A document that an operator put in while pages were read is in the new index, too."""
    await stock(shelves, 5)
    door = Door(shelves.url, hold=1)
    async with answering(door) as url, searching(shelves.search, url) as http:
        shelves.http = http
        ordered = asyncio.create_task(shelves.reindex())
        await door.held.wait()
        await http.post("/api/search/index/products", json={"productId": "mine", "name": "Mine", "price": 1})
        await http.post("/api/search/index/products", json={"productId": "p01", "name": "Mine too", "price": 1})
        door.open.set()
        await ordered
    names = await shelves.names()
    assert (names["mine"], names["p01"]) == ("Mine", "Mine too")


async def test_the_process_that_rebuilt_looks_at_the_new_slot_at_once(
    shelves: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long its readers remember which slot serves, a swap of its own they know of."""
    monkeypatch.setattr(postgres, "STATE_S", 3600.0)
    await stock(shelves, 3)
    await shelves.http.post("/api/search/index/products", json={"productId": "ghost", "name": "Tea", "price": 1})

    async def found() -> set[str]:
        answer = (await shelves.http.get("/api/search/products", params={"q": "tea"})).json()
        return {each["productId"] for each in answer["content"]}

    assert "ghost" in await found()
    await shelves.reindex()
    assert await found() == {"p00", "p01", "p02"}


async def test_a_second_rebuild_is_refused_while_one_runs(shelves: Shelves) -> None:
    """409 names it, and the first one ends as if nothing had been asked."""
    await stock(shelves)
    door = Door(shelves.url, hold=2)
    async with answering(door) as url, searching(shelves.search, url) as http:
        shelves.http = http
        ordered = asyncio.create_task(shelves.reindex(pageSize=4))
        await door.held.wait()
        second = await shelves.reindex()
        assert (second.status_code, second.json()["code"]) == (409, "REINDEX_RUNNING")
        door.open.set()
        assert (await ordered).json()["productsIndexed"] == 10


async def test_a_rebuild_is_ordered_without_waiting_for_it(shelves: Shelves) -> None:
    """202 at once; GET says how far it is, page by page, and when it is done."""
    assert (await shelves.state())["state"] == "NONE"
    await stock(shelves)
    door = Door(shelves.url, hold=3)
    async with answering(door) as url, searching(shelves.search, url) as http:
        shelves.http = http
        ordered = await shelves.reindex(pageSize=2, wait="false")
        assert (ordered.status_code, ordered.json()["state"]) == (202, "RUNNING")
        await door.held.wait()

        async def has_written_two_pages() -> dict[str, Any] | None:
            state = await shelves.state()
            return state if state["pages"] == 2 else None

        state = await eventually(has_written_two_pages)
        assert (state["state"], state["fetched"], state["indexed"], state["error"]) == ("RUNNING", 4, 4, None)
        door.open.set()

        async def is_done() -> bool:
            return (await shelves.state())["state"] == "DONE"

        await eventually(is_done)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"pageSize": 0}, "pageSize"),
        ({"pageSize": 201}, "pageSize"),
        ({"pageSize": "many"}, "pageSize"),
        ({"purgeFirst": "perhaps"}, "purgeFirst"),
        ({"wait": "x"}, "wait"),
    ],
)
async def test_bad_parameters_are_refused(shelves: Shelves, given: dict[str, Any], field: str) -> None:
    """400 names the parameter, and nothing is begun."""
    answer = await shelves.reindex(**given)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert (await shelves.state())["state"] == "NONE"


async def test_pages_and_events_race(shelves: Shelves) -> None:
    """Rebuilds in small pages while every product changes again and again, and is heard of: always the last word."""
    await stock(shelves, 40)
    done = asyncio.Event()

    async def change() -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            ids = [f"p{number:02}" for number in range(turn % 3, 40, 3)]
            await shelves.put(*(product(each, f"Turn {turn}") for each in ids[1:]))
            await shelves.remove(ids[0])
            await shelves.hear()

    changing = asyncio.create_task(change())
    for _ in range(4):
        answer = await shelves.reindex(pageSize=3)
        assert answer.status_code == 200, answer.text
    done.set()
    await changing
    await shelves.hear()
    live = await shelves.documents()
    async with shelves.products.transaction() as tx:
        known = {row["id"]: row for row in await tx.fetch(_PRODUCTS)}
    assert {key: (each["version"], each["deleted"]) for key, each in live.items()} == {
        key: (row["version"], row["deleted"]) for key, row in known.items() if key in live or not row["deleted"]
    }
