"""The real year of baskets: what is dropped, what a line costs, and that a seed always gives the same orders."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest

from ecom.datasets import completejourney
from ecom.datasets.completejourney import QUANTITY_MAX, Dropped, Journey


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder of this test run."""
    return tmp_path_factory.mktemp("baskets")


@pytest.fixture(scope="module")
def journey(cache: Path) -> Journey:
    """The year, read once."""
    return completejourney.load(cache)


def test_what_is_no_order_line_is_dropped_with_a_count(journey: Journey) -> None:
    """The wheel's 1,469,307 lines are all accounted for."""
    assert journey.dropped == Dropped(zero=8869, over=13494, free=274, unlisted=32)
    assert journey.line_count + 8869 + 13494 + 274 + 32 == 1_469_307
    assert len(journey) == 142_330


def test_every_product_has_one_price_in_whole_cents(journey: Journey) -> None:
    """A year's worth of lines never shows a product at two prices, nor one that is free."""
    prices: dict[str, set[Decimal]] = defaultdict(set)
    for basket in journey.baskets(20_000, seed=3):
        for line in basket.lines:
            assert 1 <= line.quantity <= QUANTITY_MAX
            assert line.unit_price.as_tuple().exponent == -2
            prices[line.product_id].add(line.unit_price)
    assert all(len(seen) == 1 for seen in prices.values())
    assert min(min(seen) for seen in prices.values()) > 0


def test_a_seed_gives_the_same_orders_from_the_cache_too(journey: Journey, cache: Path) -> None:
    """Repeatable: the same seed, the same baskets, whether freshly read or from the cache; another seed, others."""
    again = completejourney.load(cache)
    first = list(journey.baskets(50, seed=7))
    assert list(again.baskets(50, seed=7)) == first
    assert list(islice(again.baskets(5_000, seed=7), 50)) == first
    assert list(again.baskets(50, seed=8)) != first
    assert again.dropped == journey.dropped


def test_the_year_repeats_where_it_ends(journey: Journey) -> None:
    """More orders than baskets are possible; none is empty."""
    count = len(journey) + 10
    seen = 0
    lines = 0
    for basket in journey.baskets(count, seed=1):
        seen += 1
        lines += len(basket.lines)
    assert seen == count
    assert lines > journey.line_count
