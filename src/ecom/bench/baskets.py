"""Orders to place in bulk, and the shelves that hold enough for them: drawn by a seed, or a real year's."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from dovecote.events import Cause
from dovecote.ids import new_trace_id
from ecom.contracts.order import OrderLine
from ecom.datasets.articles import CURRENCY
from ecom.datasets.completejourney import Journey
from ecom.order.domain import NewOrder

SKUS = 5_000


@dataclass(frozen=True)
class Load:
    """What to place."""

    orders: Sequence[NewOrder]

    @property
    def lines_each(self) -> float:
        """Lines of an order, on average."""
        return sum(len(order.items) for order in self.orders) / len(self.orders)

    @property
    def skus(self) -> list[str]:
        """Everything that is bought."""
        return sorted({line.sku for order in self.orders for line in order.items})


def drawn(count: int, lines: int, *, seed: int) -> Load:
    """Orders of so many lines each, one piece of each SKU, all SKUs bought equally often."""
    draw = random.Random(seed)  # noqa: S311 (repeatable, not secret)
    return Load([_order(draw, lines) for _ in range(count)])


def bought(journey: Journey, count: int, *, seed: int) -> Load:
    """The baskets of the data set as they followed each other, 9.4 lines each on average."""
    return Load(
        [
            _new(
                basket.user_id,
                [_line(line.product_id, line.quantity, line.unit_price) for line in basket.lines],
            )
            for basket in journey.baskets(count, seed=seed)
        ]
    )


def _order(draw: random.Random, lines: int) -> NewOrder:
    skus = [f"SKU-{number}" for number in draw.sample(range(SKUS), lines)]
    return _new(draw.randrange(1, 1_000_000), [_line(sku, 1, Decimal("9.99")) for sku in skus])


def _line(product: str, quantity: int, price: Decimal) -> OrderLine:
    return OrderLine(product_id=product, sku=product, quantity=quantity, unit_price=price)


def _new(user_id: int, lines: Sequence[OrderLine]) -> NewOrder:
    return NewOrder(user_id, CURRENCY, tuple(lines), Cause(new_trace_id()), payment_method="card")
