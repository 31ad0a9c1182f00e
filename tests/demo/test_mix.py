"""The plan of a demo run: every trouble gets its share, and the shelves are short exactly where they should be."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from ecom.datasets.completejourney import Basket, Line
from ecom.demo.mix import PLENTY, SHARES, Fate, mix


def baskets(count: int) -> list[Basket]:
    """Baskets that share one SKU and have one of their own."""
    price = Decimal("1.50")
    return [Basket(i, (Line("shared", 2, price), Line(f"own-{i}", 3, price))) for i in range(count)]


@pytest.mark.parametrize("orders", [50, 1000])
def test_every_fate_has_its_share(orders: int) -> None:
    """From a few dozen orders on, every arrow of the saga is taken; most orders are plain."""
    fates = Counter(plan.fate for plan in mix(baskets(orders), seed=1).plans)
    for fate, share in SHARES.items():
        assert fates[fate] == max(round(orders * share), 1)
    assert fates[Fate.PLAIN] > orders / 2


def test_a_seed_always_gives_the_same_mix() -> None:
    """Repeatable; another seed deals otherwise."""
    one, again, other = (mix(baskets(200), seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_a_few_orders_are_all_plain() -> None:
    """Somebody who asks for three orders wants to see them confirmed."""
    plan = mix(baskets(3), seed=1)
    assert {each.fate for each in plan.plans} == {Fate.PLAIN}
    assert set(plan.stock.values()) == {PLENTY}


def test_only_scarce_skus_run_out() -> None:
    """Of the rarest SKU of a scarce basket there is one unit too few; of everything else there is plenty."""
    plan = mix(baskets(100), seed=1)
    scarce = {f"own-{i}" for i, each in enumerate(plan.plans) if each.fate is Fate.SCARCE}
    assert scarce
    assert {sku for sku, units in plan.stock.items() if units < PLENTY} == scarce
    assert {plan.stock[sku] for sku in scarce} == {2}
