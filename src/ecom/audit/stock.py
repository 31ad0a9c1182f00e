"""Stock: never below zero, always accounted for, held for an order whole or not at all."""

from __future__ import annotations

from ecom.audit import store
from ecom.audit.evidence import Evidence


async def below_zero(evidence: Evidence) -> list[str]:
    """I1: nothing is promised that does not exist."""
    return [
        f"{row['sku']}: available {row['available']}, reserved {row['reserved']}"
        for row in await evidence.inventory.fetch(store.STOCK_BELOW_ZERO)
    ]


async def unbalanced(evidence: Evidence) -> list[str]:
    """I2: reserved is what reservations say; free, reserved and sold together are what was ever put in."""
    return [
        f"{row['sku']}: available {row['available']}, reserved {row['reserved']} (reservations {row['promised']}),"
        f" confirmed {row['confirmed']}, put in {row['existing']}"
        for row in await evidence.inventory.fetch(store.STOCK_UNBALANCED)
    ]


async def partly_held(evidence: Evidence) -> list[str]:
    """I3: an order has one reservation a SKU, they stand alike, and they are what was ordered."""
    rows = []
    for order_id, holding in evidence.holdings.items():
        order = evidence.orders.get(order_id)
        if holding.is_mixed:
            rows.append(
                f"{order_id}: {holding.reserved} reserved, {holding.confirmed} confirmed, {holding.released} released"
            )
        elif holding.lines != holding.skus:
            rows.append(f"{order_id}: {holding.lines} reservations for {holding.skus} SKUs")
        elif order and order.skus != holding.skus:
            rows.append(f"{order_id}: {holding.skus} of {order.skus} SKUs")
        elif order and order.digest != holding.digest:
            rows.append(f"{order_id}: other SKUs or quantities than were ordered")
    return rows
