"""Money: what the provider's ledger says it holds is what the orders say was sold, to the cent, once."""

from __future__ import annotations

from collections import defaultdict

from ecom.audit.evidence import ENDED, Account, Evidence
from ecom.order.domain import Status

_NOTHING = Account()


async def confirmed_amiss(evidence: Evidence) -> list[str]:
    """I5: a confirmed order has one live charge of its total in its currency, and all its stock CONFIRMED."""
    rows = []
    for order_id, order in evidence.orders.items():
        if order.status is not Status.CONFIRMED:
            continue
        account = evidence.accounts.get(order_id, _NOTHING)
        charged = [(entry.amount_minor, entry.currency) for entry in account.authorized]
        if charged != [(order.total_minor, order.currency)]:
            rows.append(f"{order_id}: total {order.total_minor} {order.currency}, charged {charged}")
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
    """I7, at rest: the provider holds the price of an order exactly where the order is CONFIRMED."""
    rows = []
    for order_id, account in evidence.accounts.items():
        order = evidence.orders.get(order_id)
        if order is None:
            if account.net:
                rows.append(f"{order_id}: no such order, and the provider holds {account.net}")
        elif order.total_minor and (account.net == order.total_minor) != (order.status is Status.CONFIRMED):
            rows.append(f"{order_id}: {order.status}, and the provider holds {account.net}")
    return rows


async def charged_twice(evidence: Evidence) -> list[str]:
    """I8: one successful authorization an order; one request an idempotency key."""
    rows = [
        f"{order_id}: {len(account.authorized)} authorizations"
        for order_id, account in evidence.accounts.items()
        if len({entry.key for entry in account.authorized}) > 1
    ]
    requests: dict[str, set[str]] = defaultdict(set)
    for entry in evidence.entries:
        requests[entry.key].add(entry.request_hash)
    rows += [f"key {key}: used for different requests" for key, hashes in requests.items() if len(hashes) > 1]
    return rows
