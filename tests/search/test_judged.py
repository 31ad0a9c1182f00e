"""The judged sets themselves: fair to any engine, satisfiable by the catalogue, and not satisfied by just anything."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest

from ecom.datasets.articles import Article, products
from ecom.search.judge import FIELDS, KINDS, SETS, Judged, load, words, words_of

HELD_OUT = 20
TUNING_MIN = 80
EACH_KIND_MIN = 8
# No rule may fit more: `national` fits the 85 % of the catalogue that have this brand.
FITS_MAX = 0.9
COMMON = {"GROCERY", "national"}  # asked for their commonness
FITS_MAX_OTHERWISE = 0.05


@pytest.fixture(scope="module")
def catalogue() -> Counter[Article]:
    """Every product of the data set, and how many look the same to the rules: no rule asks for a manufacturer."""
    return Counter(
        replace(article, id="", price=Decimal(0), description=article.description.partition(",")[0])
        for article in products()
    )


@pytest.fixture(scope="module")
def vocabulary(catalogue: Counter[Article]) -> set[str]:
    """Every word of every field."""
    return {word for article in catalogue for field in FIELDS for word in words_of(article, field)}


def test_the_sets_have_their_sizes_and_all_kinds() -> None:
    """Twenty are held out over all kinds; at least eighty may be tuned on, each kind often enough."""
    held_out, tuning = load("held_out"), load("tuning")
    assert len(held_out) == HELD_OUT
    assert {judged.kind for judged in held_out} == set(KINDS)
    assert len(tuning) >= TUNING_MIN
    kinds = Counter(judged.kind for judged in tuning)
    assert all(kinds[kind] >= EACH_KIND_MIN for kind in KINDS), kinds


def test_no_query_is_in_both_sets() -> None:
    """Tuning on a query cannot be tuning on one that is held out; within a set each query is asked once."""
    asked = [judged.query.casefold() for name in SETS for judged in load(name)]
    assert Counter(asked).most_common(1)[0][1] == 1


@pytest.mark.parametrize("name", SETS)
def test_every_rule_can_be_satisfied_and_none_by_just_anything(name: str, catalogue: Counter[Article]) -> None:
    """The catalogue itself, not an engine, has products for every query, some on sale, and far more that are none."""
    for judged in load(name):
        fit = {article: count for article, count in catalogue.items() if judged.relevant(article)}
        fitting = sum(fit.values())
        most = FITS_MAX if judged.query in COMMON else FITS_MAX_OTHERWISE
        assert judged.wants_nothing or 0 < fitting <= most * catalogue.total(), (judged.query, fitting)
        assert judged.wants_nothing or any(article.active for article in fit), f"{judged.query}: none is for sale"


@pytest.mark.parametrize("name", SETS)
def test_nonsense_is_near_no_word_of_the_catalogue(name: str, vocabulary: set[str]) -> None:
    """No word of nonsense is one of the catalogue's, begins one, or is a typing error away from one."""
    for judged in _nonsense(name):
        for word in words(judged.query):
            near = {each for each in vocabulary if each.startswith(word) or _distance(word, each) <= 2}
            assert not near, (judged.query, near)


@pytest.mark.parametrize("name", SETS)
def test_only_nonsense_wants_nothing(name: str) -> None:
    """Every other kind has a rule with conditions."""
    assert all(judged.wants_nothing == (judged.kind == "nonsense") for judged in load(name))


@pytest.mark.parametrize("name", SETS)
def test_an_exact_query_is_a_name_and_a_typo_is_not(name: str, catalogue: Counter[Article]) -> None:
    """What a kind says of its query is so in the data: exact is a product's whole name, a typo has a word of none."""
    names = {words(article.name) for article in catalogue}
    in_names = {word for each in names for word in each}
    for judged in load(name):
        if judged.kind == "exact":
            assert words(judged.query) in names, judged.query
        if judged.kind == "typo":
            assert not set(words(judged.query)) <= in_names, judged.query


def _nonsense(name: str) -> list[Judged]:
    return [judged for judged in load(name) if judged.kind == "nonsense"]


def _distance(one: str, other: str) -> int:
    """Edits between two words: a letter more, fewer or another."""
    if abs(len(one) - len(other)) > 2:
        return 3
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, against in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (letter != against))
    return row[-1]
