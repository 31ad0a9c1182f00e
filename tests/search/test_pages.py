"""Pages, filters, sorts and facets, against a reference that reads everything; and every plan gives the same answer."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from dovecote.database import Database
from ecom.search import page_store, pages
from ecom.search.domain import Ask, Change, Hit, Sort, place
from ecom.search.postgres import PostgresIndex
from ecom.search.words import stems, tokens
from tests.search.stories import found, gone, ids, mirrored, product, shelve

SHELF = ("oz", "frzn", "pizza", "milk", "cheese", "deep", "dish", "12", "16", "rare", "organic", "premium")
CATEGORIES = ("FRZN FOODS", "Dairy", "Grocery")
BRANDS = ("National", "Private")


@pytest.fixture(params=["sorted", "sampled", "as guessed", "mirrored"])
def plan(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way to get a page, forced; and as the service chooses."""
    if request.param == "sorted":
        monkeypatch.setattr(pages, "SORTED_MAX", 10**9)
        monkeypatch.setattr(pages, "LOOKED_AT_MAX", 10**9)
    if request.param == "sampled":
        monkeypatch.setattr(pages, "SORTED_MAX", -1)
        monkeypatch.setattr(pages, "LOOKED_AT_MAX", -1)
        monkeypatch.setattr(pages, "NARROW_MAX", 20)
        monkeypatch.setattr(pages, "NARROW_LOOKED_AT_MAX", 30)
    if request.param == "mirrored":
        mirrored(monkeypatch)
    return str(request.param)


def goods(count: int = 900) -> list[Change]:
    """Products of few words, most of them common, some rare; some inactive, some without a price."""
    dice = random.Random(4)
    weights = [1 / (1 + number) for number in range(len(SHELF))]
    made = []
    for number in range(count):
        name = " ".join(dice.choices(SHELF, weights, k=dice.randint(1, 4)))
        fields: dict[str, Any] = {"category": dice.choice(CATEGORIES), "brand": dice.choice(BRANDS)}
        fields["description"] = dice.choice(SHELF)
        fields["active"] = dice.random() < 0.8
        made.append(product(f"{number:04}", name, price=f"{dice.randint(0, 20) / 4}", later=number % 7, **fields))
    return made


def reference(products: Sequence[Change], ask: Ask) -> list[str]:
    """The whole answer, as the rules say it: ids in order."""
    asked = stems(tokens(ask.text))
    kept: list[tuple[Any, str]] = []
    for change in products:
        hit = change.product
        if hit is None or (ask.active_only and not hit.active):
            continue
        if ask.category and tokens(hit.category or "") != tokens(ask.category):
            continue
        if ask.brand and tokens(hit.brand or "") != tokens(ask.brand):
            continue
        if ask.price_min is not None and hit.price < ask.price_min:
            continue
        if ask.price_max is not None and hit.price > ask.price_max:
            continue
        tier = _tier(hit, ask.text, asked)
        if tier is not None:
            kept.append((_key(hit, ask.sort, tier), hit.product_id))
    return [product_id for _, product_id in sorted(kept, reverse=ask.sort is not Sort.SCORE and ask.descending)]


def _tier(hit: Hit, text: str, asked: Sequence[str]) -> int | None:
    name = stems(tokens(hit.name))
    everywhere = {*name, *stems(tokens(f"{hit.category} {hit.brand} {hit.description} {' '.join(hit.sizes)}"))}
    if not set(asked) <= everywhere:
        return None
    pairs = set(pairwise(name))
    if tokens(hit.name) == tokens(text):
        return 0
    if len(asked) > 1 and all(pair in pairs for pair in pairwise(asked)):
        return 1
    if set(asked) <= set(name):
        return 2
    return 3 if set(asked) & set(name) or not asked else 4


def _key(hit: Hit, sort: Sort, tier: int) -> tuple[Any, ...]:
    keys: dict[Sort, Callable[[], Any]] = {
        Sort.SCORE: lambda: tier,
        Sort.PRICE: lambda: hit.price,
        Sort.NAME: lambda: " ".join(tokens(hit.name)),
        Sort.UPDATED: lambda: hit.updated_at,
    }
    return (keys[sort](), place(hit.product_id), hit.product_id)


ASKS = [
    Ask(),
    Ask("oz"),
    Ask("frzn"),
    Ask("frzn pizza"),
    Ask("pizza frzn"),
    Ask("oz oz"),
    Ask("rare"),
    Ask("rare organic"),
    Ask("oz frzn milk"),
    Ask("grocery"),
    Ask("national"),
    Ask("national oz"),
    Ask("oz", active_only=False),
    Ask(category="frzn foods"),
    Ask(brand="PRIVATE"),
    Ask("pizza", category="Dairy", brand="private"),
    Ask("oz", price_min=Decimal("1.5"), price_max=Decimal(3)),
    Ask(price_min=Decimal(2)),
    Ask("milk", price_max=Decimal(0)),
]


@pytest.mark.parametrize("sort", list(Sort))
async def test_pages_together_are_the_whole_list_once(database: Database, plan: str, sort: Sort) -> None:
    """For each query, filter and sort, both ways: page by page what the reference says, and the right total."""
    products = goods()
    index = PostgresIndex()
    await shelve(database, index, *products)
    for asked in ASKS:
        for down in (True, False) if sort is not Sort.SCORE else (True,):
            ask = replace(asked, sort=sort, descending=down, size=150)
            expected = reference(products, ask)
            seen: list[str] = []
            for number in range(len(expected) // ask.size + 1):
                answer = await index.search(database, replace(ask, page=number))
                assert (answer.total, answer.is_exact) == (len(expected), True), ask
                seen += ids(answer)
            assert seen == expected, ask


async def test_a_small_page_is_the_beginning_of_a_large_one(database: Database, plan: str) -> None:
    """The first twenty, the next, and the next: the same order, whichever plan a page's size suggests."""
    products = goods()
    index = PostgresIndex()
    await shelve(database, index, *products)
    for text in ("oz", "frzn pizza", "grocery", ""):
        expected = reference(products, Ask(text))
        for number in range(4):
            page = await found(database, index, text, page=number, size=20)
            assert page == expected[number * 20 : number * 20 + 20], (text, number)
        beyond = await index.search(database, Ask(text, page=50, size=20))
        assert (beyond.hits, beyond.total) == ([], len(expected))


async def test_narrow_tiers_stand_before_what_is_sampled(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few names are or contain what was typed, many have its words elsewhere: no hit twice, none missing."""
    index = PostgresIndex()
    sampled = 0
    sampled_page = page_store.sampled_page

    async def counting(*given: Any, **named: Any) -> page_store.Sampled:
        nonlocal sampled
        sampled += 1
        return await sampled_page(*given, **named)

    monkeypatch.setattr(page_store, "sampled_page", counting)
    monkeypatch.setattr(pages, "LOOKED_AT_MAX", 100)
    monkeypatch.setattr(pages, "SORTED_MAX", 100)
    products = [
        *(product(f"exact{number}", "Green tea") for number in range(4)),
        *(product(f"phrase{number}", f"Fresh green tea {number}") for number in range(9)),
        *(product(f"words{number}", f"Tea, green {number}") for number in range(8)),
        *(product(f"some{number}", f"Tea {number}", category="Green") for number in range(30)),
        *(product(f"elsewhere{number}", f"Box {number}", description="green tea") for number in range(900)),
    ]
    await shelve(database, index, *products)
    expected = reference(products, Ask("green tea"))
    for number in range(4):
        answer = await index.search(database, Ask("green tea", page=number))
        assert ids(answer) == expected[number * 20 : number * 20 + 20]
        assert answer.total == len(expected)
    assert sampled >= 4


async def test_words_that_were_never_counted_change_no_answer(database: Database, plan: str) -> None:
    """The counts choose plans and nothing else: without them, and with wrong ones, the page is the same."""
    products = goods(400)
    index = PostgresIndex()
    await shelve(database, index, *products[:10])
    await shelve(database, index, *products[10:], counted=False)
    for text in ("oz", "frzn pizza", "rare organic", ""):
        expected = reference(products, Ask(text))[:20]
        assert await found(database, index, text) == expected


async def test_many_matches_are_counted_to_a_limit(
    database: Database, index: PostgresIndex, plan: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to the limit the total is exact; above it, it is the limit and says so."""
    monkeypatch.setattr(pages, "TOTAL_MAX", 50)
    monkeypatch.setattr(pages, "SURE_ROWS", 5)
    await shelve(database, index, *(product(f"{number}", f"Tea {number}") for number in range(150)))
    await shelve(database, index, *(product(f"m{number}", f"Milk {number}") for number in range(50)))
    many, few = await index.search(database, Ask("tea")), await index.search(database, Ask("milk"))
    assert (many.total, many.is_exact, len(many.hits)) == (50, False, 20)
    assert (few.total, few.is_exact, len(few.hits)) == (50, True, 20)


async def test_facets_are_counted_further_than_the_total(
    database: Database, index: PostgresIndex, plan: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the total's limit and up to the facets' own they are exact; the total still says that it is not."""
    monkeypatch.setattr(pages, "TOTAL_MAX", 50)
    monkeypatch.setattr(pages, "LOOKED_AT_MAX", 50)
    await shelve(database, index, *(product(f"{number}", f"Tea {number}") for number in range(150)))
    answer = await index.search(database, Ask("tea", facets=True))
    assert answer.facets is not None
    assert [each.count for each in answer.facets["brand"]] == [150]
    assert (answer.total, answer.is_exact) == (50, False)


async def test_facets_count_all_matches(database: Database, index: PostgresIndex, plan: str) -> None:
    """Not only those of the page; by count, and of what the filters leave."""
    products = goods(300)
    await shelve(database, index, *products)
    for ask in (Ask("oz", facets=True), Ask("oz", brand="National", facets=True), Ask(facets=True)):
        matching = set(reference(products, ask))
        kept = [change.product for change in products if change.product and change.product_id in matching]
        facets = (await index.search(database, ask)).facets
        assert facets is not None
        assert {each.value: each.count for each in facets["brand"]} == Counter(hit.brand for hit in kept)
        categories = [(each.value, each.count) for each in facets["category"]]
        assert dict(categories) == Counter(hit.category for hit in kept)
        assert [count for _, count in categories] == sorted((count for _, count in categories), reverse=True)


async def test_a_filter_means_the_whole_value(database: Database, index: PostgresIndex) -> None:
    """Frozen is no filter for FROZEN FOODS; a filter of signs alone fits nothing; case and accents do not matter."""
    await shelve(database, index, product("1", "Peas", category="Café FOODS"), product("2", "Peas", category="Café"))
    assert await found(database, index, category="cafe foods") == ["1"]
    assert await found(database, index, "peas", category="CAFE") == ["2"]
    assert await found(database, index, category="foods") == []
    assert await found(database, index, category="!!") == []


async def test_what_is_gone_is_in_no_page(database: Database, index: PostgresIndex, plan: str) -> None:
    """Deleted products are neither found nor counted, whatever the sort."""
    await shelve(database, index, *(product(f"{number}", "Tea") for number in range(5)))
    await shelve(database, index, gone("1", later=5), gone("3", later=5), gone("never", later=5))
    for sort in Sort:
        answer = await index.search(database, Ask(sort=sort, facets=True))
        assert (sorted(ids(answer)), answer.total) == (["0", "2", "4"], 3)
        assert answer.facets is not None
        assert [each.count for each in answer.facets["brand"]] == [3]
