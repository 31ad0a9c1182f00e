"""Prices of the catalogue: a product and its orders follow each other through the whole shop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dovecote.testing import eventually
from ecom.local import Servers
from tests.flows.market import PRICING, Market, new_user, open_market


@pytest.fixture(scope="module")
async def priced(embedded: Servers) -> AsyncIterator[Market]:
    """A shop as it is configured by default, with patience for a machine that has a lot to do."""
    async with open_market(embedded, {PRICING: "catalogue", "APP_ORDER_PRICEPATIENCE": "PT8S"}) as market:
        yield market


async def order(market: Market, product_id: str, price: str) -> tuple[int, Any]:
    """Try to order one unit."""
    line = {"productId": product_id, "sku": product_id, "quantity": 1, "unitPrice": price}
    return await market.call(
        "order", "POST", "/api/orders", json={"userId": new_user(), "currency": "EUR", "items": [line]}
    )


async def test_an_order_the_moment_its_product_is_there(priced: Market) -> None:
    """Twenty products, each ordered with the answer to its making: all orders are placed, one is seen to its end."""

    async def offer_and_order(_: int) -> str:
        product_id = await priced.offer()
        await priced.shelve(product_id, 1)
        return await priced.place(product_id, 1, user_id=new_user())

    order_ids = await asyncio.gather(*map(offer_and_order, range(20)))
    await priced.until(order_ids[0], "CONFIRMED")


async def test_a_new_price_counts_at_once_and_a_deleted_product_is_sold_no_more(priced: Market) -> None:
    """An order at the price just set is placed; then the old one is refused with both; then nothing is sold."""
    product_id = await priced.offer("2.50")
    assert (await order(priced, product_id, "2.50"))[0] == 201
    body = {"name": "Milk", "category": "DAIRY", "brand": "Ours", "price": 3}
    await priced.ask("product", "PUT", f"/api/products/{product_id}", json=body)
    assert (await order(priced, product_id, "3.00"))[0] == 201
    assert (await priced.call("product", "DELETE", f"/api/products/{product_id}"))[0] == 204

    async def gone() -> Any:
        status, answer = await order(priced, product_id, "2.50")
        return answer if status == 422 and answer["code"] == "PRODUCT_DELETED" else None

    answer = await eventually(gone, seconds=60, what="the product is sold no more")
    assert answer["errors"][0]["sku"] == product_id
