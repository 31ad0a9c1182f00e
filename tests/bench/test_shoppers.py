"""What a bench asks, and the catalogue it grows: repeatable, like the data, and of the kinds it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from ecom.bench import catalogue
from ecom.bench.queries import COMMON, KINDS, PREFIX_LETTERS_MAX, Shoppers
from ecom.datasets.articles import Article, products

DRAWN = 5_000


@pytest.fixture(scope="module")
def articles() -> Sequence[Article]:
    """A part of the data set."""
    return list(products().first(5_000))


def test_the_same_seed_asks_the_same(articles: Sequence[Article]) -> None:
    """Two runs ask the same queries and prefixes; another seed asks others."""
    one, same, other = (Shoppers(articles, seed=seed) for seed in (1, 1, 2))
    assert (one.queries(100), one.prefixes(100)) == (same.queries(100), same.prefixes(100))
    assert one.queries(100) != other.queries(100)


def test_queries_have_one_to_three_words_and_every_kind_has_its_share(articles: Sequence[Article]) -> None:
    """Common words and slips are in the mix, as often as the module says."""
    drawn = Shoppers(articles, seed=1).queries(DRAWN)
    assert {len(text.split()) for _, text in drawn} == {1, 2, 3}
    shares = Counter(kind for kind, _ in drawn)
    for kind, share in KINDS.items():
        assert abs(shares[kind] / DRAWN - share / 100) < 0.03, shares
    common = [text.split()[0] for kind, text in drawn if kind == "common"]
    assert set(common) == set(COMMON)


def test_words_are_asked_as_often_as_products_have_them(articles: Sequence[Article]) -> None:
    """The commonest word of the data is among the commonest of the queries by chance."""
    drawn = Shoppers(articles, seed=1).queries(DRAWN)
    words = Counter(word for kind, text in drawn if kind == "chance" for word in text.split())
    assert "oz" in [word for word, _ in words.most_common(3)]


def test_most_slips_make_a_word_that_is_no_products(articles: Sequence[Article]) -> None:
    """A slip changes a word of five letters or more; shorter ones are asked as they are."""
    known = {word for article in articles for word in f"{article.name} {article.category}".lower().split()}
    drawn = Shoppers(articles, seed=1).queries(DRAWN)
    slipped = [text for kind, text in drawn if kind == "typo" and not set(text.split()) <= known]
    assert len(slipped) > DRAWN * KINDS["typo"] / 100 / 2


def test_prefixes_begin_a_name_or_a_later_part_of_one(articles: Sequence[Article]) -> None:
    """What is typed is some name's, as far as it goes."""
    names = [article.name.lower() for article in articles]
    beginnings = {name[: length + 1].strip() for name in names for length in range(PREFIX_LETTERS_MAX)}
    inner = " ".join(names)
    typed = [text for _, text in Shoppers(articles, seed=1).prefixes(200)]
    assert all(text in beginnings or text in inner for text in typed)
    assert sum(text in beginnings for text in typed) > 100


def test_copies_make_the_catalogue_so_many_times_as_large(articles: Sequence[Article]) -> None:
    """Ids of their own, other sizes, some words that the data has not, and the same every time."""
    few = articles[:500]
    grown = [*catalogue.products(few), *catalogue.copies(few, times=4, seed=1)]
    assert len({product.id for product in grown}) == len(grown) == 4 * len(few)
    assert grown[len(few) :] == list(catalogue.copies(few, times=4, seed=1))
    own = {word for product in grown[: len(few)] for word in product.name.split()}
    further = {word for product in grown[len(few) :] for word in product.name.split()} - own
    assert len(further) > 100
    sized = [product for product in grown if product.sizes]
    assert sum(product.name.endswith(product.sizes[0]) for product in sized) > 0.99 * len(sized)
