"""A customer of a shop that holds prices against its catalogue, and what stands for Kafka in its stories."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx

from dovecote.database import Database
from dovecote.testing import eventually
from ecom.order.patience import WAITING
from ecom.order.refusals import REFUSED
from ecom.order.service import build
from ecom.web.application import application

AT_ONCE = {"APP_ORDER_PRICEPATIENCE": "PT0S"}
# Longer than a test waits: what is placed was placed for its news, and not for the end of the patience.
LONG = {"APP_ORDER_PRICEPATIENCE": "PT1M"}
SOON_SECONDS = 30


@contextlib.asynccontextmanager
async def customer(database: Database, settings: Mapping[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """The service's routes, as its configuration makes them."""
    transport = httpx.ASGITransport(app=application([(build(settings), database)], name="order-service"))
    async with httpx.AsyncClient(transport=transport, base_url="http://order.example") as client:
        yield client


def body(*lines: dict[str, Any], currency: str = "EUR") -> dict[str, Any]:
    """An order of these lines."""
    return {"userId": 7, "currency": currency, "items": list(lines)}


def line(product_id: str, price: float | str, **changes: Any) -> dict[str, Any]:
    """A line as clients in the field send it: sku = productId, the price a JSON number."""
    return {"productId": product_id, "sku": product_id, "quantity": 1, "unitPrice": price, **changes}


async def soon(*orders: asyncio.Task[httpx.Response]) -> list[httpx.Response]:
    """The answers to orders whose news has come, long before their patience ends."""
    return await asyncio.wait_for(asyncio.gather(*orders), SOON_SECONDS)


def waiting() -> int:
    """How many orders wait for news of their products."""
    return int(WAITING._value.get())


async def until_waiting(count: int) -> None:
    """Wait until so many orders wait."""

    async def there() -> bool:
        return waiting() == count

    await eventually(there, what=f"{count} orders wait")


def refused(reason: str) -> float:
    """How many orders were refused for a reason."""
    return float(REFUSED.labels(reason)._value.get())
