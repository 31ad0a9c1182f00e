"""The catalogue on a real database: every change is one row, one version, one event; what changes nothing is none."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from dovecote.database import Database
from dovecote.events import Cause
from dovecote.sql import Sql
from dovecote.testing import Bench, eventually
from ecom.product import catalogue, store
from ecom.product.catalogue import Edit, IdTaken
from ecom.product.domain import Stored, Unfit
from ecom.product.service import build
from tests.product.stories import TRACE, product, put, remove, said

WAITING = Sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
ROWS = Sql("SELECT id, version, deleted FROM product ORDER BY id")


async def test_a_product_is_made_changed_and_left_alone(database: Database) -> None:
    """A put says what it changed: new is version 1, different is the next, the same again is silence."""
    first = await put(database, product("a"), product("b"))
    assert (first.changed, sorted(first.stored)) == (2, ["a", "b"])
    second = await put(database, product("a", price=Decimal(5)), product("b"), product("c"))
    assert (second.changed, {each.version for each in second.stored.values()}) == (2, {1, 2})
    assert (await put(database, product("a", price=Decimal("5.00")), product("b"))).changed == 0
    assert sorted(await said(database)) == [
        ("upserted", "a", 1),
        ("upserted", "a", 2),
        ("upserted", "b", 1),
        ("upserted", "c", 1),
    ]


async def test_the_same_put_again_touches_no_row(database: Database) -> None:
    """A second import changes nothing, not even a timestamp; what it answers is what is there."""
    everything = product(
        "a",
        description='quo"te\\back, {curly}',
        currency="EUR",
        colors=("red", 'a"b', "c\\d", "{e,f}", "NULL", " g "),
        sizes=("12 OZ",),
        image_urls=("http://shop/a.png?x=1,2",),
        active=False,
    )
    first = await put(database, everything)
    again = await put(database, everything)
    assert (again.changed, again.stored) == (0, first.stored)
    assert await store.find(database, "a") == first.stored["a"]
    assert first.stored["a"].product == everything


async def test_of_two_with_one_id_the_later_stands(database: Database) -> None:
    """One batch, one id, twice: the last is the product, and only it is spoken of."""
    done = await put(database, product("a", name="first"), product("b"), product("a", name="last"))
    assert (done.changed, done.stored["a"].product.name) == (2, "last")
    assert sorted(await said(database)) == [("upserted", "a", 1), ("upserted", "b", 1)]


async def test_a_version_counts_on_over_a_deletion(database: Database) -> None:
    """Deleted and made again, a product goes on from its tombstone's version; a second deletion finds nothing."""
    await put(database, product("a"), product("b"))
    assert await remove(database, "a", "a", "ghost") == ["a"]
    assert await store.find(database, "a") is None
    assert await remove(database, "a") == []
    assert [tuple(row.values()) for row in await database.fetch(ROWS)] == [("a", 2, True), ("b", 1, False)]
    back = await put(database, product("a"))
    assert (back.changed, back.stored["a"].version) == (1, 3)
    assert [each for each in await said(database) if each[1] == "a"] == [
        ("upserted", "a", 1),
        ("deleted", "a", 2),
        ("upserted", "a", 3),
    ]


async def test_an_event_tells_the_whole_product(database: Database) -> None:
    """The payload has every field a reader knows, its cause's trace, and the price as a string of its digits."""
    await put(database, product("a", price=Decimal("12.50"), currency="EUR", colors=("red",), description="flat"))
    await remove(database, "a")
    made, gone = await Bench(build({}).blueprint, database).published()
    assert made.trace_id == gone.trace_id == TRACE
    assert made.payload == {
        "productId": "a",
        "name": "Thin Pizza",
        "price": "12.50",
        "description": "flat",
        "category": "Pizza",
        "brand": "National",
        "colors": ["red"],
        "sizes": [],
        "active": True,
        "version": 1,
        "sku": "a",
        "currency": "EUR",
    }
    assert gone.payload == {"productId": "a", "version": 2}


async def test_a_replacement_finds_only_what_is_there(database: Database) -> None:
    """Unknown and deleted products stay unknown and deleted; edits of one product each count, in their order."""
    await put(database, product("a"), product("gone"))
    await remove(database, "gone")
    edits = [
        Edit(product("a", name="second"), Cause(TRACE)),
        Edit(product("ghost"), Cause(TRACE)),
        Edit(product("a", name="second"), Cause(TRACE)),
        Edit(product("a", name="third"), Cause(TRACE)),
        Edit(product("gone"), Cause(TRACE)),
    ]
    async with database.transaction() as tx:
        after = await catalogue.replace(tx, edits)
    assert [each and each.version for each in after] == [2, None, 2, 3, None]
    found = await store.find(database, "a")
    assert found is not None
    assert (found.product.name, found.version) == ("third", 3)
    assert (await said(database))[-2:] == [("upserted", "a", 2), ("upserted", "a", 3)]


async def test_an_id_is_made_once(database: Database) -> None:
    """Creating under an id that is or was in use is refused, and the whole batch with it."""
    await put(database, product("a"))
    await remove(database, "a")
    with pytest.raises(IdTaken):
        async with database.transaction() as tx:
            await catalogue.create(tx, [Edit(product("new"), Cause(TRACE)), Edit(product("a"), Cause(TRACE))])
    assert await store.find(database, "new") is None


async def test_what_does_not_fit_is_not_put(database: Database) -> None:
    """The service layer has the same bounds as HTTP: one bad product and nothing of its batch is written."""
    with pytest.raises(Unfit, match="price"):
        await put(database, product("a"), product("b", price=Decimal(-1)))
    assert await said(database) == []


async def test_writers_of_the_same_products_neither_deadlock_nor_lose_a_version(database: Database) -> None:
    """Four writers put, in their own orders, new and known products, some delete: every version has its one event."""
    names = [f"p{number:02}" for number in range(40)]

    async def write(writer: int) -> None:
        for turn in range(6):
            order = names if (writer + turn) % 2 else names[::-1]
            if writer == 3 and turn % 2:
                await remove(database, *order[::3])
            else:
                await put(database, *(product(each, name=f"{writer} {turn}") for each in order[turn:]))

    await asyncio.gather(*map(write, range(4)))
    heard: dict[str, list[int]] = {}
    for _, product_id, version in await said(database):
        heard.setdefault(product_id, []).append(version)
    rows = {row["id"]: row["version"] for row in await database.fetch(ROWS)}
    assert {each: sorted(versions) for each, versions in heard.items()} == {
        each: list(range(1, version + 1)) for each, version in rows.items()
    }
    assert set(rows) == set(names)


async def test_two_who_make_the_same_products_in_opposite_orders(database: Database) -> None:
    """Both are held up in the middle by a third; then one goes first and the other finds its work done."""
    names = ["a", "m", "z"]
    async with database.transaction() as tx:
        await catalogue.put(tx, [product("m")], because=Cause(TRACE))
        one = asyncio.create_task(put(database, *map(product, names)))
        other = asyncio.create_task(put(database, *map(product, reversed(names))))

        async def both_wait() -> bool:
            async with database.transaction("work") as observer:
                return bool(await observer.fetchval(WAITING) == 2)

        await eventually(both_wait, what="both wait for the third")
    assert sorted([(await one).changed, (await other).changed]) == [0, 2]
    assert sorted(await said(database)) == [("upserted", each, 1) for each in names]


async def test_a_thousand_new_products_take_one_statement_and_their_events_another(database: Database) -> None:
    """Speed is counted in statements: a batch that is all new needs no lock, one that is all known no write."""
    many = [product(f"p{number}") for number in range(1000)]
    async with database.transaction() as tx:
        counted = Counting(tx)
        await catalogue.put(counted, many, because=Cause(TRACE))  # type: ignore[arg-type]
    assert counted.statements == [store.INSERT_PRODUCTS]
    async with database.transaction() as tx:
        counted = Counting(tx)
        await catalogue.put(counted, many, because=Cause(TRACE))  # type: ignore[arg-type]
    assert counted.statements == [store.INSERT_PRODUCTS, store.LOCK_PRODUCTS]
    assert isinstance((await store.find(database, "p7")), Stored)


class Counting:
    """A transaction that notes the statements of its user."""

    def __init__(self, tx: object) -> None:
        self._tx = tx
        self.statements: list[Sql] = []

    def __getattr__(self, name: str) -> object:
        found = getattr(self._tx, name)
        if name not in {"fetch", "fetchrow", "fetchval", "execute"}:
            return found

        def noted(sql: Sql, *arguments: object) -> object:
            self.statements.append(sql)
            return found(sql, *arguments)

        return noted
