"""The mirror says what PostgreSQL says: made whole, kept up to date whatever is written, dropped when it cannot be."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import ModuleType

import pytest

from dovecote.database import Database
from dovecote.sql import Sql
from dovecote.testing import eventually
from ecom.search import lexicon, mirror, mirroring, store, word_store
from ecom.search.bitmap import bitmap, numbers
from ecom.search.domain import Ask, Change
from ecom.search.matching import matching
from ecom.search.memory import Age
from ecom.search.mirror import Mirror, OutOfDate
from ecom.search.mirroring import Mirroring
from ecom.search.page_store import Scope
from ecom.search.postgres import PostgresIndex
from tests.search.stories import AT, found, gone, ids, mirrored, product, shelve

SWAP = Sql("UPDATE index_state SET live = 'b', completed_at = $1")
WORDS = ("tea", "green", "black", "mint", "jam", "strawberry", "organic", "oz", "12", "thé")
ASKS = ("tea", "green tea", "tea green", "oz", "organic mint tea 12", "strawbery", "gren", "jam oz mint", "te", "")


def test_a_set_gives_back_its_numbers_in_order() -> None:
    """None, the first, the last, and any in between."""
    dice = random.Random(1)
    for many in (0, 1, 9, 700):
        some = {*dice.sample(range(1_000), many), *([0, 999] if many > 1 else [])}
        assert list(numbers(bitmap(some, 1_000))) == sorted(some)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("'a'", 0b0011),
        ("'a' & 'b'", 0b0010),
        ("('a' | 'c') & 'b'", 0b0110),
        ("'a' | 'b' & 'c'", 0b0111),
        ("'none' & 'a'", 0),
        ("(('a' & 'b') | ('it''s \\\\ ()'))", 0b1010),
    ],
)
def test_a_lexeme_query_means_what_it_means_to_postgresql(query: str, wanted: int) -> None:
    """AND binds closer than OR; quoted quotes and backslashes are the lexeme's."""
    having = {"a": 0b0011, "b": 0b0110, "c": 0b0100, "it's \\ ()": 0b1000}
    assert matching(query, lambda lexeme: having.get(lexeme, 0)) == wanted


@pytest.mark.parametrize("query", ["", "'a' &", "('a'", "'a' 'b'", "a", "'a' & !'b'", ")"])
def test_what_is_no_lexeme_query_of_ours_is_refused(query: str) -> None:
    """A plan that learnt a new sign would be noticed at once."""
    with pytest.raises(ValueError, match="lexeme"):
        matching(query, lambda _: 1)


async def same_answers(database: Database, held: PostgresIndex) -> None:
    """What an index with a mirror answers is what PostgreSQL answers."""
    asked = PostgresIndex()
    asked._mirroring.lexicon = lambda _: None  # type: ignore[method-assign]
    asked._mirroring.of = lambda _: None  # type: ignore[method-assign]
    for text in ASKS:
        for ask in (Ask(text), Ask(text, size=3, page=1), Ask(text, category="groceries", brand="National")):
            want, got = await asked.search(database, ask), await held.search(database, ask)
            assert (ids(got), got.total, got.is_exact) == (ids(want), want.total, want.is_exact), ask
        assert await held.suggest(database, text, 5) == await asked.suggest(database, text, 5), text


def news(dice: random.Random, later: int) -> Change:
    """A product that is new, changed, taken from sale or gone."""
    number = f"{dice.randint(0, 60):03}"
    if dice.random() < 0.2:
        return gone(number, later=later)
    name = " ".join(dice.choices(WORDS, k=dice.randint(1, 4)))
    category = dice.choice(["Groceries", "Tea"])
    return product(number, name, later=later, category=category, active=dice.random() < 0.8)


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_is_written_it_says_the_same(
    database: Database, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Products come, change, leave sale, go and come back, before the mirror is made and after, and in one batch."""
    mirrored(monkeypatch)
    dice, held = random.Random(seed), PostgresIndex()
    for batch in range(6):
        changes = {each.product_id: each for each in (news(dice, batch) for _ in range(dice.choice([1, 5, 40])))}
        await shelve(database, held, *changes.values(), counted=batch % 3 == 0)
        await same_answers(database, held)
    assert len(held._mirroring._mirror._late) > 0  # type: ignore[union-attr]  # it was followed, not made anew


async def test_a_name_longer_than_what_is_sorted_by_is_completed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a name's lexeme is a digest, which its beginning does not tell."""
    mirrored(monkeypatch)
    long = " ".join(["Tea of a very long name"] * 12)
    held = PostgresIndex()
    await shelve(database, held, product("1", long), product("2", "Tea"))
    assert await held.suggest(database, "tea of", 5) == [long]
    await shelve(database, held, product("3", f"{long} indeed"))
    await same_answers(database, held)


async def test_a_batch_that_commits_after_a_later_one_is_not_missed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its transaction has the lower number, and is asked for until it has ended."""
    mirrored(monkeypatch)
    held = PostgresIndex()
    await shelve(database, held, product("1", "Tea"))
    assert await found(database, held, "tea") == ["1"]
    async with database.transaction() as tx:
        await PostgresIndex().apply(tx, [product("2", "Sorbet")])
        await shelve(database, held, product("3", "Jam"), counted=False)
        assert await found(database, held, "jam") == ["3"]
        assert await found(database, held, "sorbet") == []

    async def seen() -> bool:
        return await found(database, held, "sorbet") == ["2"]

    await eventually(seen, seconds=5, what="the batch that committed last is found")
    assert await found(database, held, "sorbett") == ["2"]


async def test_when_much_is_written_it_is_made_anew(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than is taken up: until there is another mirror, PostgreSQL answers."""
    monkeypatch.setattr(mirror, "LATE_MAX", 5)
    state = await counted_state(database)
    made = await Mirror.of(database, "a")
    keeper = Mirroring(Age())
    await keeper.make(database, state)
    assert keeper.of(scope("a")) is None  # it may be older than the state
    await keeper.follow(database, state)
    assert keeper.of(scope("a")) is not None
    await shelve(database, PostgresIndex(), *(product(f"n{number}", "Sorbet") for number in range(6)), counted=False)
    with pytest.raises(OutOfDate):
        await made.follow(database)
    monkeypatch.setattr(mirroring, "DOCUMENTS_MAX", -1)
    await keeper.follow(database, await word_store.read_state(database))
    assert keeper.of(scope("a")) is None
    assert keeper.lexicon("a") is None


async def test_the_same_product_again_and_again_fills_it_up_too(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each change has a number of its own; they are bounded."""
    monkeypatch.setattr(mirror, "LATE_MAX", 3)
    await counted_state(database)
    made = await Mirror.of(database, "a")
    for later in range(1, 4):
        await shelve(database, PostgresIndex(), product("0", f"Tea {later}", later=later), counted=False)
        await made.follow(database)
    await shelve(database, PostgresIndex(), product("0", "Tea 4", later=4), counted=False)
    with pytest.raises(OutOfDate):
        await made.follow(database)


async def test_after_a_swap_the_other_slot_answers(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mirror of what served before is no longer asked."""
    mirrored(monkeypatch)
    held = PostgresIndex()
    await shelve(database, held, product("1", "Tea"))
    assert await found(database, held, "tea") == ["1"]
    async with database.transaction() as tx:
        await store.put(tx, ["b"], [product("2", "Tea")])
        await tx.execute(SWAP, AT)
    held.forget()
    assert await found(database, held, "tea") == ["2"]


async def test_counts_are_learnt_beside_the_searches(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the job has counted: the commoner correction comes to mean more, and late words are kept."""
    mirrored(monkeypatch)
    held = PostgresIndex()
    await shelve(database, held, product("1", "Mint"))
    assert await found(database, held, "mint") == ["1"]
    await shelve(database, held, product("2", "Sorbet"), product("3", "Sorbet"))

    async def counted() -> bool:
        held.forget()
        await found(database, held, "mint")
        known = held._mirroring.lexicon("a").stems(["sorbet"])  # type: ignore[union-attr]
        return bool(known["sorbet"].anywhere == 2)

    await eventually(counted, seconds=5, what="the counts are learnt")


@pytest.mark.parametrize(
    "most", [(mirroring, "DOCUMENTS_MIN", 10), (mirror, "DOCUMENTS_MAX", 1), (lexicon, "WORDS_MAX", 1)]
)
async def test_what_is_too_small_or_too_large_has_none(
    database: Database, monkeypatch: pytest.MonkeyPatch, most: tuple[ModuleType, str, int]
) -> None:
    """Then PostgreSQL answers, as if there were no mirrors."""
    monkeypatch.setattr(mirroring, "DOCUMENTS_MIN", 1)
    monkeypatch.setattr(*most)
    state = await counted_state(database)
    keeper = Mirroring(Age())
    await keeper.follow(database, state)
    if keeper._making is not None:
        await keeper._making
    await keeper.follow(database, state)
    assert keeper.of(scope("a")) is None
    assert keeper._making is None  # nor is it tried again and again


async def test_one_is_made_beside_the_first_search(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search that lets it be made is answered by PostgreSQL, a later one by the mirror."""
    monkeypatch.setattr(mirroring, "DOCUMENTS_MIN", 1)
    await counted_state(database)
    index = PostgresIndex()
    assert await found(database, index, "tea") == ["0", "1"]

    async def made() -> bool:
        index.forget()
        assert await found(database, index, "green") == ["1"]
        return index._mirroring.of(scope("a")) is not None

    await eventually(made, seconds=5, what="the mirror is made")
    assert await found(database, index, "green") == ["1"]


@pytest.mark.parametrize("leave_out", [lambda s: s(active_only=False), lambda s: s(price_min=1), lambda s: s("b")])
async def test_what_it_does_not_hold_it_is_not_asked(database: Database, leave_out: Callable[..., Scope]) -> None:
    """What is not on sale, prices, another slot: these are PostgreSQL's."""
    keeper = Mirroring(Age())
    state = await counted_state(database)
    await keeper.make(database, state)
    await keeper.follow(database, state)
    assert keeper.of(scope("a")) is not None
    assert keeper.of(leave_out(scope)) is None


async def counted_state(database: Database) -> word_store.State:
    """The state of an index of two products."""
    await shelve(database, PostgresIndex(), product("0", "Tea"), product("1", "Green tea"))
    return await word_store.read_state(database)


def scope(slot: str = "a", *, active_only: bool = True, price_min: int | None = None) -> Scope:
    """Where a search looks."""
    return Scope(slot, active_only, price_min, None, 0, is_counted=False)  # type: ignore[arg-type]
