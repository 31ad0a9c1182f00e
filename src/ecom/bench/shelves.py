"""A stocked and priced shop for benches that order over HTTP, and the orders themselves."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from urllib.parse import urlsplit

import msgspec

from dovecote.database import Database
from dovecote.events import Cause
from dovecote.ids import new_trace_id
from dovecote.service import Service
from dovecote.sql import Sql
from ecom.bench.load import Ask, Plan, Seen, in_a_process
from ecom.inventory.store import put_stock
from ecom.order import price_store
from ecom.order.prices import Price, Word

SKUS = tuple(f"SKU-{number}" for number in range(2_000))
PRICE = Decimal("9.99")
CURRENCY = "USD"
LIMIT_S = 300.0
LOOK_S = 0.25

STATES = Sql("SELECT status, count(*) AS orders FROM orders GROUP BY status")
# Asked while others work: it reads one order that waits, not all there are.
OPEN = Sql("SELECT EXISTS (SELECT FROM orders WHERE status = 'PAYMENT_PENDING')")


async def fill(services: Mapping[str, Service], skus: Sequence[str], *, each: int) -> None:
    """Stock every SKU, and put it on the order service's price list as the product service's event would."""
    if "inventory" in services:
        async with services["inventory"].database.transaction() as tx:
            await put_stock(tx, [(sku, each) for sku in skus], because=Cause(new_trace_id()))
    async with services["order"].database.transaction() as tx:
        words = [Word(Price(sku, sku, PRICE, CURRENCY, active=True, deleted=False), 1, tx.now) for sku in sorted(skus)]
        await price_store.keep(tx, words)


def placings(count: int, *, lines: int, seed: int, skus: Sequence[str] = SKUS, kind: str = "place") -> list[Ask]:
    """Orders of so many lines as a client in the field sends them, each with an idempotency key of its own."""
    draw = random.Random(seed)  # noqa: S311 (repeatable, not secret)
    return [_placing(draw, number, draw.sample(skus, lines), kind) for number in range(count)]


def _placing(draw: random.Random, number: int, skus: Sequence[str], kind: str) -> Ask:
    body = {
        "userId": draw.randrange(1, 1_000_000),
        "currency": CURRENCY,
        "items": [{"productId": sku, "sku": sku, "quantity": 1, "unitPrice": float(PRICE)} for sku in skus],
        "paymentMethod": "card",
    }
    # The bench's schemas are new in every run, so a key need be its own in one run only.
    key = ("Idempotency-Key", f"{kind}-{number}-{draw.randrange(2**32):x}")
    return Ask(kind, "/api/orders", "POST", msgspec.json.encode(body).decode(), (key,))


async def ask(url: str, requests: Sequence[Ask], *, clients: int, seconds: float, once: bool = False) -> Seen:
    """Let so many clients of a process of their own ask a shop."""
    address = urlsplit(url)
    plan = Plan(address.hostname or "", address.port or 0, clients, seconds, requests, once)
    return await asyncio.to_thread(in_a_process, plan)


async def until_final(database: Database) -> float:
    """Wait until no order waits for an answer; the seconds it took. Raises TimeoutError after five minutes."""
    began = time.perf_counter()
    while await database.fetchval(OPEN):
        if time.perf_counter() - began > LIMIT_S:
            raise TimeoutError(f"Not every order was final within {LIMIT_S:.0f} s.")
        await asyncio.sleep(LOOK_S)
    return time.perf_counter() - began


async def states(database: Database) -> dict[str, int]:
    """How many orders stand how."""
    return {row["status"]: row["orders"] for row in await database.fetch(STATES)}
