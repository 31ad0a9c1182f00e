"""The grocer's real products as articles: all of them, each with a name, at the price its baskets were paid at."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from ecom.datasets import articles, completejourney
from ecom.datasets.articles import Article, Articles


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder of this test run."""
    return tmp_path_factory.mktemp("articles")


@pytest.fixture(scope="module")
def products(cache: Path) -> Articles:
    """The products, read once."""
    return articles.products(cache)


@pytest.fixture(scope="module")
def known(products: Articles) -> dict[str, Article]:
    """The products by id."""
    return {each.id: each for each in products}


def test_every_product_is_there_once_and_has_a_name(products: Articles, known: dict[str, Article]) -> None:
    """92,331 rows, no id twice, no name, category or brand empty, no name with two spaces in a row."""
    assert len(products) == len(known) == 92_331
    for each in known.values():
        assert each.name == " ".join(each.name.split()) != ""
        assert each.category.strip()
        assert each.brand in {"National", "Private"}
        assert each.description


def test_a_basket_line_costs_what_its_article_costs(known: dict[str, Article], cache: Path) -> None:
    """Every line of the whole year is paid at its product's price in the catalogue, and its product is for sale."""
    journey = completejourney.load(cache)
    seen = {(line.product_id, line.unit_price) for each in journey.baskets(len(journey), seed=1) for line in each.lines}
    assert len(seen) > 60_000
    assert [line for line in seen if (known[line[0]].price, known[line[0]].active) != (line[1], True)] == []


def test_what_was_never_sold_at_a_price_is_not_for_sale(known: dict[str, Article]) -> None:
    """Free of charge and inactive are the same articles; all others cost whole cents."""
    for each in known.values():
        assert each.active == (each.price > 0)
        assert each.price == each.price.quantize(Decimal("0.01"))
    assert sum(each.active for each in known.values()) == 68_165


def test_an_article_reads_as_the_data_has_it(known: dict[str, Article]) -> None:
    """Type and size make the name; without a type the category does, without both the department."""
    assert known["1082185"] == Article(
        "1082185",
        "BANANAS 40 LB",
        "TROPICAL FRUIT",
        "National",
        Decimal("0.98"),
        "PRODUCE, manufacturer 2",
        sizes=("40 LB",),
    )
    without = known["26081"]
    assert (without.name, without.category, without.sizes) == ("MISCELLANEOUS", "MISCELLANEOUS", ())
    assert known["26093"].name == "BREAD:ITALIAN/FRENCH"


def test_the_most_bought_come_first_from_the_cache_too(products: Articles, cache: Path) -> None:
    """The order is always the same: a part is the part that sells; some are found by their ids."""
    first = list(products.first(100))
    assert first[0].name == "BANANAS 40 LB"
    assert all(each.active for each in first)
    again = articles.products(cache)
    assert list(again.first(100)) == first
    assert len(again) == len(products)
    assert list(again.only([first[7].id, first[3].id, "no-such", "1"])) == [first[3], first[7]]
    assert len(again.first(200_000)) == len(again)
