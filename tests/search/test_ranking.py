"""What is found, and in which order: tiers, accents, plurals, beginnings, slips, and what may have been meant."""

from __future__ import annotations

import pytest

from dovecote.database import Database
from ecom.search.postgres import PostgresIndex
from tests.search.stories import found, product, shelve


async def test_the_tiers_stand_in_their_order(database: Database, index: PostgresIndex) -> None:
    """The name itself, its words as typed, all words in the name, some in the name, all elsewhere; nothing else."""
    await shelve(
        database,
        index,
        product("elsewhere", "Sauce", category="Apple", description="for a pie"),
        product("half", "Pie", category="Apple"),
        product("words", "Pie of apple"),
        product("phrase", "Warm apple pie"),
        product("exact", "Apple Pie"),
        product("none", "Apple"),
    )
    assert await found(database, index, "apple pie") == ["exact", "phrase", "words", "half", "elsewhere"]


async def test_case_accents_and_plurals_make_no_difference(database: Database, index: PostgresIndex) -> None:
    """Asked in capitals, with or without accents, of one or of many: the same products."""
    await shelve(database, index, product("1", "Crème brûlée"), product("2", "Fudge Brownies"), product("3", "Tea"))
    for text in ("creme brulee", "CRÈME BRÛLÉE", "crèmes"):
        assert await found(database, index, text) == ["1"], text
    for text in ("brownie", "Brownies", "FUDGE brownie"):
        assert await found(database, index, text) == ["2"], text


async def test_a_name_typed_as_it_is_comes_before_longer_names(database: Database, index: PostgresIndex) -> None:
    """However many names contain what was typed, the one that is what was typed stands first."""
    others = [product(f"o{number}", f"Green tea {number} oz") for number in range(30)]
    await shelve(database, index, *others, product("it", "Green tea"))
    assert (await found(database, index, "green tea"))[0] == "it"


async def test_a_beginning_finds_what_goes_on(database: Database, index: PostgresIndex) -> None:
    """A last word that no product has is the beginning of one; the commoner word comes first."""
    await shelve(
        database,
        index,
        product("1", "Milk chocolate"),
        product("2", "Dark chocolate"),
        product("3", "Choco bar"),
        product("4", "Tea"),
    )
    assert set(await found(database, index, "chocol")) == {"1", "2"}
    assert await found(database, index, "dark choc") == ["2"]
    assert set(await found(database, index, "cho")) == {"1", "2", "3"}
    assert (await found(database, index, "cho"))[-1] == "3"


async def test_a_known_word_is_a_beginning_only_where_it_finds_too_little(
    database: Database, index: PostgresIndex
) -> None:
    """Few products have the word: those that go on stand behind them. Many have it: nothing else is found."""
    await shelve(database, index, product("short", "Choc bar"), product("long", "Chocolate bar"))
    assert await found(database, index, "choc") == ["short", "long"]
    await shelve(database, index, *(product(f"s{number}", f"Choc bar {number}") for number in range(5)))
    assert "long" not in await found(database, PostgresIndex(), "choc")


@pytest.mark.parametrize("typed", ["yoghurt", "yogrut", "yogur", "jogurt", "yogurtt", "Yohgurt"])
async def test_slips_are_forgiven(database: Database, index: PostgresIndex, typed: str) -> None:
    """A letter too many, too few, another or swapped: the word that was meant is found."""
    await shelve(database, index, product("1", "Plain yogurt"), product("2", "Frozen pizza"))
    assert await found(database, index, typed) == ["1"]


@pytest.mark.parametrize("typed", ["mlik", "milc", "mik", "milkk", "silk"])
async def test_one_slip_in_a_short_word_is_forgiven(database: Database, index: PostgresIndex, typed: str) -> None:
    """Too short for trigrams to tell: each of its slips is looked up."""
    await shelve(database, index, product("1", "Whole milk"), product("2", "Tea"))
    assert await found(database, index, typed) == ["1"]


@pytest.mark.parametrize("typed", ["qwxzvk", "mlki", "13", "xx"])
async def test_nonsense_finds_nothing(database: Database, index: PostgresIndex, typed: str) -> None:
    """Nothing like it is in the catalogue, and numbers are no misspelt numbers."""
    await shelve(database, index, product("1", "Whole milk 12 oz"), product("2", "Tea 14 oz"))
    assert await found(database, index, typed) == []


async def test_the_nearest_word_is_meant_and_among_equals_the_commoner(
    database: Database, index: PostgresIndex
) -> None:
    """One slip before two; at the same distance the word that more products have stands first, the other behind it."""
    await shelve(
        database,
        index,
        product("chest", "Chest"),
        *(product(f"cheese{number}", f"Cheese {number}") for number in range(3)),
        product("chase", "Paper chase"),
    )
    assert set((await found(database, index, "chese"))[:3]) == {"cheese0", "cheese1", "cheese2"}
    assert await found(database, index, "chestt") == ["chest"]


async def test_words_written_together_or_apart(database: Database, index: PostgresIndex) -> None:
    """tooth paste finds toothpaste, icecream finds ice cream."""
    await shelve(database, index, product("1", "Toothpaste"), product("2", "Ice cream"), product("3", "Tooth brush"))
    assert await found(database, index, "tooth paste") == ["1"]
    assert await found(database, index, "icecream") == ["2"]


async def test_labels_abbreviate(database: Database, index: PostgresIndex) -> None:
    """Where nothing is called frozen waffles, FRZN waffles are meant."""
    await shelve(database, index, product("1", "Waffles", category="FRZN BREAKFAST"), product("2", "Frozen peas"))
    assert await found(database, index, "frozen waffles") == ["1"]


async def test_two_words_that_never_meet_find_nothing(database: Database, index: PostgresIndex) -> None:
    """Each is common; no product has both, and of two words none is left out."""
    await shelve(
        database,
        index,
        *(product(f"w{number}", f"Wine {number}") for number in range(20)),
        *(product(f"s{number}", f"Soap {number}") for number in range(20)),
    )
    assert await found(database, index, "wine soap") == []


async def test_of_three_words_one_may_be_wrong(database: Database, index: PostgresIndex) -> None:
    """Only where nothing has all three; who has all three is alone."""
    await shelve(
        database, index, product("1", "Red wine vinegar"), product("2", "White wine vinegar"), product("3", "Red soap")
    )
    assert await found(database, index, "red wine vinegar") == ["1"]
    assert set(await found(database, index, "blue wine vinegar")) == {"1", "2"}


async def test_a_new_word_is_known_at_once(database: Database, index: PostgresIndex) -> None:
    """A product brings a word that was asked for before: it is found as soon as the miss is forgotten."""
    assert await found(database, index, "zyzzyva") == []
    await shelve(database, index, product("1", "Zyzzyva"), counted=False)
    assert await found(database, PostgresIndex(), "zyzzyva") == ["1"]


@pytest.mark.parametrize("text", ["& | ! : * ' \\", "'''", "\\", "!!!", "<->", ":*A"])
async def test_signs_are_no_words(database: Database, index: PostgresIndex, text: str) -> None:
    """What means something to a tsquery means nothing here."""
    await shelve(database, index, product("1", "Tea"))
    answer = await found(database, index, text)
    assert answer == ([] if text != ":*A" else answer)


async def test_signs_between_words_part_them(database: Database, index: PostgresIndex) -> None:
    """tea's & (milk | !sugar) is a search for those words."""
    await shelve(database, index, product("1", "Teas milk sugar"), product("2", "Tea"))
    assert await found(database, index, "tea's & (milk | !sugar):*") == ["1"]
