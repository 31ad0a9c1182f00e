"""The index follows the news of each product by its version, in whatever order and batches they come."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from decimal import Decimal

import pytest

from dovecote.database import Database
from dovecote.schedule import JobContext
from dovecote.sql import Sql
from dovecote.testing import eventually
from ecom.search import jobs, memory, store
from ecom.search.domain import Ask, Change, Upserted, latest, upserted
from ecom.search.postgres import PostgresIndex
from tests.search.stories import AT, documents, found, gone, product, shelve, vocabulary

BUILD = Sql("UPDATE index_state SET building = 'b', run_id = gen_random_uuid()")
IN_SLOT = Sql("SELECT product_id, name, deleted, version FROM document WHERE slot = $1 ORDER BY product_id")
PENDING = Sql("SELECT merge_pending()")
COUNTS = Sql("SELECT word, in_name, anywhere FROM word WHERE slot = 'a' ORDER BY word")
BEHIND_ITS_BACK = Sql("DELETE FROM document WHERE product_id = '1'")
DEADLOCKS = Sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")


async def test_a_late_older_event_changes_nothing(database: Database, index: PostgresIndex) -> None:
    """Version 3 is known: 2 comes late and 3 again, with other words; both count for nothing."""
    await shelve(database, index, product("1", "Green tea", later=2))
    before = await documents(database)
    assert await shelve(database, index, product("1", "Red tea", later=1)) == 0
    assert await shelve(database, index, product("1", "Blue tea", later=2)) == 0
    assert await documents(database) == before
    assert await found(database, index, "green tea") == ["1"]


async def test_what_is_updated_is_found_by_its_new_words_only(database: Database, index: PostgresIndex) -> None:
    """The words it had find it no longer."""
    await shelve(database, index, product("1", "Green tea", sizes=("12 OZ",)))
    await shelve(database, index, product("1", "Black coffee", later=1))
    assert await found(database, index, "black coffee") == ["1"]
    assert await found(database, index, "green tea") == []
    assert await found(database, index, "12 oz") == []


async def test_a_deletion_leaves_a_tombstone(database: Database, index: PostgresIndex) -> None:
    """A late upsert of a deleted product stays without effect, also where the product had never been seen."""
    await shelve(database, index, product("1", "Tea"))
    await shelve(database, index, gone("1", later=3), gone("2", later=3))
    assert await shelve(database, index, product("1", "Tea", later=2), product("2", "Tea", later=2)) == 0
    assert await found(database, index, "tea") == []
    rows = await documents(database)
    assert [(row["product_id"], row["deleted"], row["version"], row["hit"], row["words"]) for row in rows] == [
        ("1", True, 4, "", ""),
        ("2", True, 4, "", ""),
    ]


async def test_a_product_made_again_is_found_again(database: Database, index: PostgresIndex) -> None:
    """Its version goes on counting, so the tombstone gives way."""
    await shelve(database, index, gone("1", later=3))
    await shelve(database, index, product("1", "Tea", later=4))
    assert await found(database, index, "tea") == ["1"]


async def test_without_a_version_it_is_the_time_that_counts(database: Database, index: PostgresIndex) -> None:
    """Foreign events bear none: the later one wins, one of the same moment is taken as it comes."""
    await shelve(database, index, product("1", "Tea", later=5, version=None))
    assert await shelve(database, index, product("1", "Old tea", later=4, version=None)) == 0
    assert await shelve(database, index, product("1", "New tea", later=5, version=None)) == 1
    assert await shelve(database, index, gone("1", later=4, version=None)) == 0
    assert await shelve(database, index, gone("1", later=6, version=None)) == 1
    assert await shelve(database, index, product("1", "Late tea", later=5, version=None)) == 0
    assert await found(database, index, "tea") == []


def story(dice: random.Random) -> list[Change]:
    """Forty products, each made, changed, deleted or made again, some several times."""
    told: list[Change] = []
    for number in range(40):
        for version in range(dice.randint(1, 6)):
            if version and dice.random() < 0.3:
                told.append(gone(f"{number}", later=version))
            else:
                name = f"{dice.choice(['green', 'red', 'blue'])} tea {version}"
                told.append(product(f"{number}", name, later=version, active=dice.random() < 0.8))
    return told


@pytest.mark.parametrize("seed", range(6))
async def test_events_in_any_order_make_the_same_index(database: Database, index: PostgresIndex, seed: int) -> None:
    """Shuffled, some twice, in batches of any size: row for row what the events in their order make."""
    dice = random.Random(seed)
    told = story(dice)
    await shelve(database, index, *told)
    expected = await documents(database)
    async with database.transaction() as tx:
        await tx.fetchval(Sql("SELECT empty_slot('a')"))
    mixed = [*told, *dice.choices(told, k=len(told) // 3)]
    dice.shuffle(mixed)
    while mixed:
        size = dice.randint(1, 30)
        await shelve(database, index, *mixed[:size], counted=False)
        del mixed[:size]
    assert await documents(database) == expected
    assert {"green", "red", "blue", "tea"} & set(await vocabulary(database)) != set()


def test_the_last_news_of_a_batch_is_the_last_by_version() -> None:
    """Of several changes of one product only the one that overrules all others is written; sorted by id."""
    changes = [product("b", "2", later=1), product("a", "1"), product("b", "3", later=2), product("b", "1")]
    assert [(each.product_id, each.version) for each in latest(changes)] == [("a", 1), ("b", 3)]


async def test_while_an_index_is_built_both_hear(database: Database, index: PostgresIndex) -> None:
    """Each slot by its own state of knowledge; the one that serves tells how many changed."""
    await shelve(database, index, product("1", "Tea", later=4))
    async with database.transaction() as tx:
        await tx.execute(BUILD)
    assert await shelve(database, index, product("1", "Old tea", later=2), gone("2", later=1), counted=False) == 1
    live, built = [[tuple(row.values()) for row in await database.fetch(IN_SLOT, slot)] for slot in "ab"]
    assert live == [("1", "Tea", False, 5), ("2", "", True, 2)]
    assert built == [("1", "Old tea", False, 3), ("2", "", True, 2)]


async def test_writers_at_once_neither_deadlock_nor_lose(database: Database) -> None:
    """Overlapping batches in opposite orders on three connections: the highest version of each product stays."""
    before = await database.fetchval(DEADLOCKS)
    names = [f"{number}" for number in range(60)]

    async def write(version: int) -> None:
        order = names if version % 2 else names[::-1]
        await shelve(
            database,
            PostgresIndex(),
            *(product(name, f"Tea {version} word{version}", later=version) for name in order),
            counted=False,
        )

    await asyncio.gather(*(write(version) for version in range(24)))
    assert {row["version"] for row in await documents(database)} == {24}
    assert await database.fetchval(DEADLOCKS) == before


async def test_texts_of_any_kind_and_length_are_indexed(database: Database, index: PostgresIndex) -> None:
    """What no B-tree or tsvector takes as it is: long names, long words, U+0000, quotes, emoji, nothing at all."""
    await shelve(
        database,
        index,
        product("long", "word " * 5_000 + "end", description="other " * 20_000, category="c" * 3_000),
        product("wide", "x" * 20_000),
        product("nul", "tea\0pot"),
        product("quotes", "it's a \\ 'tea' & \"pot\" | :* !"),
        product("emoji", "🍵"),
        product("empty", "", category="", brand=""),
        product("foreign", "東京 чай ü"),
    )
    assert set(await found(database, index, "tea pot")) == {"nul", "quotes"}
    assert await found(database, index, "чай") == ["foreign"]
    assert await found(database, index, "word") == ["long"]
    assert len(await found(database, index, size=200)) == 7


@pytest.mark.parametrize("price", ["NaN", "Infinity", "1e15", "-1e15"])
def test_a_price_that_is_no_amount_is_refused(price: str) -> None:
    """It could not be shown as a JSON number that anyone reads."""
    event = Upserted(product_id="1", name="Tea", price=Decimal(price))
    with pytest.raises(ValueError, match="no amount"):
        upserted(event, AT)


async def test_an_answer_is_remembered_until_something_changes(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked again, nothing is looked up; another process's change is seen all the same, and a total with it."""
    monkeypatch.setattr(memory, "SETTLING_S", -1.0)
    await shelve(database, PostgresIndex(), *(product(f"{number}", "Tea") for number in range(3)))
    reader = PostgresIndex()
    assert len(await found(database, reader, "tea")) == 3
    async with database.transaction() as tx:
        await tx.execute(BEHIND_ITS_BACK)
    assert len(await found(database, reader, "tea")) == 3
    await shelve(database, PostgresIndex(), product("8", "Tea"), product("9", "Tea"), counted=False)

    async def seen() -> bool:
        answer = await reader.search(database, Ask("tea"))
        return (len(answer.hits), answer.total) == (4, 4)

    await eventually(seen, seconds=5, what="the reader sees the change, and what was gone before")


async def test_a_change_is_settled_when_whoever_drew_its_number_has_ended(
    database: Database, index: PostgresIndex
) -> None:
    """A count may stand for the index only if no batch with a lower number can still commit."""
    async with database.transaction() as tx:
        await index.apply(tx, [product("1", "Tea")])
        settling = asyncio.create_task(store.settled_change(database))
        done, _ = await asyncio.wait([settling], timeout=0.2)
        assert not done
    drawn = await settling
    await shelve(database, index, product("2", "Tea"), counted=False)
    assert await store.settled_change(database) == drawn + 1


async def test_the_words_are_counted_and_the_dead_forgotten(database: Database, index: PostgresIndex) -> None:
    """A tombstone goes when no late news can come and nothing waits to be heard; what lives stays."""

    waiting = 0

    async def lag() -> int:
        return waiting

    context = JobContext(database, lag)
    await shelve(database, index, product("1", "Green tea"), product("2", "Tea", description="green"), counted=False)
    await shelve(database, index, gone("3", later=1), counted=False)
    async with database.transaction() as tx:
        await store.count_words(tx, "a")
    counts = {row["word"]: (row["in_name"], row["anywhere"]) for row in await database.fetch(COUNTS)}
    assert (counts["green"], counts["tea"]) == ((1, 2), (2, 2))
    await jobs.merge(context)
    assert await database.fetchval(PENDING) == 0
    await jobs.forget_tombstones(context, database.now - AT + timedelta(days=1))
    waiting = 1
    await jobs.forget_tombstones(context, timedelta(0))
    assert [row["product_id"] for row in await documents(database)] == ["1", "2", "3"]
    waiting = 0
    await jobs.forget_tombstones(context, timedelta(0))
    assert [row["product_id"] for row in await documents(database)] == ["1", "2"]
