"""Which order meets which trouble: a plan made from real baskets and a seed, the same for the same seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from ecom.datasets.articles import CURRENCY
from ecom.datasets.completejourney import Basket

__all__ = ["CURRENCY", "PLENTY", "SHARES", "Fate", "Mix", "Plan", "mix"]

PLENTY = 1_000_000
"""What there is of a SKU that must not run out."""


class Fate(StrEnum):
    """What is meant to happen to an order; the provider's part of it is the card it is paid with."""

    PLAIN = "plain"
    DECLINED = "declined"
    SLOW = "slow"
    # The provider has done it, and answers only after the client has given up: the same key is asked again.
    TIMEOUT = "timeout"
    # The provider does it only after the order has timed out: what it took then must be voided.
    LATE = "late"
    UNAVAILABLE = "unavailable"
    CAPTURE_DECLINED = "capture declined"
    SCARCE = "scarce"
    CANCELLED_BEFORE = "cancelled before CONFIRMED"
    CANCELLED_AFTER = "cancelled after CONFIRMED"
    # The customer's page is old: the first try is refused, the second pays what the catalogue says.
    OLD_PRICE = "an old price first"


SHARES: dict[Fate, float] = {
    Fate.DECLINED: 0.04,
    Fate.SLOW: 0.03,
    Fate.TIMEOUT: 0.01,
    Fate.LATE: 0.01,
    Fate.UNAVAILABLE: 0.02,
    Fate.CAPTURE_DECLINED: 0.01,
    Fate.SCARCE: 0.03,
    Fate.CANCELLED_BEFORE: 0.01,
    Fate.CANCELLED_AFTER: 0.01,
    Fate.OLD_PRICE: 0.01,
}
_CARDS = {
    Fate.DECLINED: "card-declined",
    Fate.SLOW: "card-slow",
    Fate.TIMEOUT: "card-timeout",
    Fate.LATE: "card-late",
    Fate.UNAVAILABLE: "card-unavailable",
    Fate.CAPTURE_DECLINED: "card-capture-declined",
    # Slow enough that the customer's second thoughts come first.
    Fate.CANCELLED_BEFORE: "card-slow",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """One order to place, and what is meant to become of it."""

    basket: Basket
    fate: Fate = Fate.PLAIN

    @property
    def payment_method(self) -> str:
        """The card whose name tells the simulated provider how to behave."""
        return _CARDS.get(self.fate, "card")


@dataclass(frozen=True, slots=True)
class Mix:
    """All orders of a run, and what there is of each SKU before the first."""

    plans: Sequence[Plan]
    stock: dict[str, int]


def mix(baskets: Iterable[Basket], *, seed: int) -> Mix:
    """Deal out the fates: each gets its share, and at least one order where there are orders enough."""
    plans = [Plan(basket) for basket in baskets]
    order = list(range(len(plans)))
    random.Random(seed).shuffle(order)  # noqa: S311 (repeatable, not secret)
    for fate, share in SHARES.items():
        for _ in range(_portion(len(plans), share)):
            index = order.pop()
            plans[index] = replace(plans[index], fate=fate)
    return Mix(plans, _stock(plans))


def _portion(orders: int, share: float) -> int:
    """An order for each fate from twice as many orders as fates on; fewer orders are all plain."""
    return max(round(orders * share), 1) if orders >= 2 * len(SHARES) else 0


def _stock(plans: Sequence[Plan]) -> dict[str, int]:
    """Plenty of everything, but of one SKU in each scarce basket: one unit less than all who want it need.

    The rarest SKU of the basket is taken, so that one order too many does not spoil a hundred others.
    """
    demand: Counter[str] = Counter()
    for plan in plans:
        for line in plan.basket.lines:
            demand[line.sku] += line.quantity
    stock = dict.fromkeys(demand, PLENTY)
    for plan in plans:
        if plan.fate is Fate.SCARCE:
            rarest = min((line.sku for line in plan.basket.lines), key=lambda sku: (demand[sku], sku))
            stock[rarest] = demand[rarest] - 1
    return stock
