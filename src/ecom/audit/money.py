"""Money: what the provider's ledger says it holds is what the orders say was sold, to the cent, once."""

from __future__ import annotations

from ecom.audit.accounts import Account
from ecom.audit.evidence import ENDED, Evidence
from ecom.order.domain import Status
from ecom.provider.ledger import Mark

_NOTHING = Account()


async def confirmed_amiss(evidence: Evidence) -> list[str]:
    """I5: a confirmed order has one live charge of its total in its currency, and all its stock CONFIRMED."""
    rows = []
    for order_id, order in evidence.orders.items():
        if order.status is not Status.CONFIRMED:
            continue
        charges = evidence.accounts.get(order_id, _NOTHING).charges
        live = [(each.entry.amount_minor, each.entry.currency) for each in charges if each.is_live]
        if live != [(order.total_minor, order.currency)]:
            rows.append(f"{order_id}: total {order.total_minor} {order.currency}, charged {live}")
        holding = evidence.holdings.get(order_id)
        if holding is None or holding.confirmed != holding.lines:
            rows.append(f"{order_id}: stock is not all CONFIRMED")
    return rows


async def ended_amiss(evidence: Evidence) -> list[str]:
    """I6: a failed, timed out or cancelled order holds no money, no stock, and no open question to the provider."""
    rows = []
    for order_id, order in evidence.orders.items():
        if order.status not in ENDED:
            continue
        net = evidence.accounts.get(order_id, _NOTHING).net
        if net != 0:
            rows.append(f"{order_id}: {order.status}, and the provider holds {net}")
        holding = evidence.holdings.get(order_id)
        if holding is not None and holding.released != holding.lines:
            rows.append(f"{order_id}: {order.status}, and stock is held")
        if order_id in evidence.unknown:
            rows.append(f"{order_id}: {order.status}, and its settlement is UNKNOWN")
    return rows


async def part_of_the_price(evidence: Evidence) -> list[str]:
    """I7, at any time: the provider holds nothing of an order's price, or all of it."""
    return [
        f"{order_id}: total {order.total_minor}, the provider holds {account.net}"
        for order_id, account in evidence.accounts.items()
        if (order := evidence.orders.get(order_id)) and account.net not in (0, order.total_minor)
    ]


async def sold_amiss(evidence: Evidence) -> list[str]:
    """I7, at rest: the provider holds the price of an order exactly where the order is CONFIRMED.

    What it holds for a confirmed order is I5's matter, and what for an ended one I6's: here is the rest, orders that
    are still open and orders that nobody knows.
    """
    rows = []
    for order_id, account in evidence.accounts.items():
        order = evidence.orders.get(order_id)
        if order is None:
            if account.net:
                rows.append(f"{order_id}: no such order, and the provider holds {account.net}")
        elif order.status is Status.PAYMENT_PENDING and account.net:
            rows.append(f"{order_id}: {order.status}, and the provider holds {account.net}")
    return rows


async def charged_twice(evidence: Evidence) -> list[str]:
    """I8: one successful authorization an order, whatever was given back since."""
    return [
        f"{order_id}: {len(account.charges)} authorizations"
        for order_id, account in evidence.accounts.items()
        if len(account.charges) > 1
    ]


async def key_used_twice(evidence: Evidence) -> list[str]:
    """I8: one request an idempotency key, by the requests' hashes or by the provider's own refusal."""
    first: dict[str, str] = {}
    reused = {
        entry.key
        for entry in evidence.entries
        if first.setdefault(entry.key, entry.request_hash) != entry.request_hash or entry.outcome is Mark.CONFLICT
    }
    return [f"key {key}: used for different requests" for key in reused]
