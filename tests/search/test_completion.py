"""Completion: names that go on as typed."""

from __future__ import annotations

import pytest

from dovecote.database import Database
from dovecote.testing import eventually
from ecom.search.postgres import PostgresIndex
from tests.search.stories import product, shelve


async def stock(database: Database, index: PostgresIndex) -> None:
    """Several of one name, some inactive, some that begin elsewhere."""
    await shelve(
        database,
        index,
        *(product(f"same{number}", "GREEN TEA") for number in range(30)),
        product("1", "Green Tea 20 CT"),
        product("2", "Greens, mixed"),
        product("3", "Crème de green"),
        product("4", "GREEN APPLES", active=False),
        product("5", "Tea, greenest"),
        product("6", "Coffee"),
    )


async def test_each_name_is_there_once_as_written(database: Database, index: PostgresIndex) -> None:
    """First the names that begin so in their order, then those with a word that does; nothing that is not on sale."""
    await stock(database, index)
    names = await index.suggest(database, "gree", 10)
    assert names[:3] == ["GREEN TEA", "Green Tea 20 CT", "Greens, mixed"]
    assert set(names[3:]) == {"Crème de green", "Tea, greenest"}
    assert await index.suggest(database, "gree", 2) == ["GREEN TEA", "Green Tea 20 CT"]


@pytest.mark.parametrize("typed", ["CRÈME d", "creme de gr", "crème"])
async def test_case_and_accents_make_no_difference(database: Database, index: PostgresIndex, typed: str) -> None:
    """As in a search."""
    await stock(database, index)
    assert await index.suggest(database, typed, 10) == ["Crème de green"]


async def test_behind_a_blank_the_word_is_whole(database: Database, index: PostgresIndex) -> None:
    """ "green " goes on with another word, not with greens."""
    await stock(database, index)
    assert await index.suggest(database, "green ", 10) == ["GREEN TEA", "Green Tea 20 CT"]


@pytest.mark.parametrize("typed", ["", " ", "&|!", "zzz", "green tea 20 ct x"])
async def test_nothing_goes_on_so(database: Database, index: PostgresIndex, typed: str) -> None:
    """An empty list, not an error."""
    await stock(database, index)
    assert await index.suggest(database, typed, 10) == []


async def test_words_within_a_name_are_completed_too(database: Database, index: PostgresIndex) -> None:
    """Words before the last one are whole words of the name, in any order."""
    await stock(database, index)
    assert await index.suggest(database, "de creme gr", 10) == ["Crème de green"]


async def test_what_is_remembered_gives_way_to_a_change(database: Database, index: PostgresIndex) -> None:
    """In the process that made the change at once, in any other as soon as it sees the change's number."""
    other = PostgresIndex()
    await stock(database, index)
    before = ["Coffee"]
    assert [await each.suggest(database, "coff", 10) for each in (index, other)] == [before, before]
    await shelve(database, index, product("7", "Coffee beans"))
    after = ["Coffee", "Coffee beans"]
    assert await index.suggest(database, "coff", 10) == after

    async def is_seen() -> bool:
        return await other.suggest(database, "coff", 10) == after

    await eventually(is_seen)
