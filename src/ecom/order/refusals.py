"""How a customer is told that an order is not placed: for its prices, for want of news of them, or for its key."""

from __future__ import annotations

from typing import Any

import msgspec
from prometheus_client import Counter

from ecom.order.domain import Order
from ecom.order.patience import Answer, Delay
from ecom.order.prices import Mistake, Reason, Refused
from ecom.order.saga import KeyTaken
from ecom.web import idempotency
from ecom.web.exact import encode
from ecom.web.problems import RETRY_AFTER_SECONDS, Problem

REFUSED = Counter("order_price_refused", "Orders that were not placed for a price, by the first reason.", ["reason"])
for _reason in (*Reason, *Delay):
    REFUSED.labels(_reason.value)  # a series that begins at zero can be watched from the start

_SENTENCES = {
    Delay.BEHIND: "The price list has not heard all news of products yet and may be wrong about this order",
    Delay.BUSY: "Too many orders wait for news of their products",
}


def order_of(answer: Answer | Delay) -> Order:
    """The order that was placed in the end.

    Raises Problem: 422 where its prices are wrong or its key is another order's, 409 where the key's order is being
    placed, 503 where nobody knows the prices.
    """
    if isinstance(answer, Refused):
        raise _refusal(answer)
    if isinstance(answer, Delay):
        REFUSED.labels(answer.value).inc()
        after = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        raise Problem(503, answer.value, f"{_SENTENCES[answer]}; send it again.", headers=after)
    if isinstance(answer, KeyTaken):
        raise idempotency.in_use() if answer is KeyTaken.BY_A_TWIN else idempotency.reused()
    return answer


def _refusal(refused: Refused) -> Problem:
    first, *others = refused.mistakes
    REFUSED.labels(first.reason.value).inc()
    more = f" (and {len(others)} more, see errors)" if others else ""
    return Problem(
        422,
        first.reason.value,
        f"{first.field}: {first.sentence}{more}.",
        field=first.field,
        # Prices as numbers with exactly their digits, as in an order.
        extra={"errors": msgspec.Raw(encode([_told(mistake) for mistake in refused.mistakes]))},
    )


def _told(mistake: Mistake) -> dict[str, Any]:
    line, price = mistake.line, mistake.price
    told: dict[str, Any] = {
        "field": mistake.field,
        "code": mistake.reason.value,
        "line": mistake.number,
        "productId": line.product_id,
        "sku": line.sku,
        "unitPrice": line.unit_price,
    }
    if price is not None and price.amount is not None:
        told["currentPrice"] = price.amount
        if price.currency is not None:
            told["currentCurrency"] = price.currency
        if mistake.reason is Reason.SKU:
            told["currentSku"] = price.sku
    return told
