"""Orders held against the catalogue: what is refused and how that reads, and that nothing else is touched by it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from dovecote.database import Database, Transaction
from dovecote.sql import Sql
from ecom.order import price_store
from ecom.order.prices import ProductGone, Reason
from ecom.order.service import build
from tests.order.pricing import AT_ONCE, body, customer, line, refused
from tests.order.stories import OrderShop, product

COUNT_ORDERS = Sql("SELECT count(*) FROM orders")
COUNT_KEYS = Sql("SELECT count(*) FROM idempotency_key")
COUNT_EVENTS = Sql("SELECT count(*) FROM outbox_event_record")


@pytest.fixture
async def client(database: Database, shop: OrderShop) -> AsyncIterator[httpx.AsyncClient]:
    """A customer of a shop with a small catalogue, who is answered without a wait."""
    await shop.sell(
        product("milk", "1.90", 1),
        product("bread", "2.50", 1, currency="EUR"),
        product("cheese", "9", 1, sku="C-1"),
        product("ice", "3.00", 1, active=False),
        product("gone", "4.00", 1),
        ProductGone(product_id="gone", version=2),
    )
    async with customer(database, AT_ONCE) as client:
        yield client


REFUSALS: list[tuple[dict[str, Any], str, str, dict[str, Any], str]] = [
    (line("milk", 1.89), "PRICE_WRONG", "items[1].unitPrice", {"currentPrice": 1.9}, "1.89 .*milk.* it costs 1.90"),
    (line("milk", 0), "PRICE_WRONG", "items[1].unitPrice", {"currentPrice": 1.9}, "0 .*milk.* it costs 1.90"),
    (
        line("bread", "2.500001"),
        "PRICE_WRONG",
        "items[1].unitPrice",
        {"currentPrice": 2.5, "currentCurrency": "EUR"},
        "2.500001 .*bread.* it costs 2.50 EUR",
    ),
    (line("yak", 1), "PRODUCT_UNKNOWN", "items[1].productId", {}, "1 .*yak.* there is no product yak"),
    (line("ice", 3), "PRODUCT_INACTIVE", "items[1].productId", {"currentPrice": 3}, "ice.* not for sale.* 3.00"),
    (line("gone", 4), "PRODUCT_DELETED", "items[1].productId", {}, "4 .*gone.* no longer sold"),
    (
        line("cheese", 9),
        "SKU_WRONG",
        "items[1].sku",
        {"currentPrice": 9, "currentSku": "C-1"},
        "cheese.* has the sku C-1",
    ),
    (
        line("milk", 1.9, sku="C-1"),
        "SKU_WRONG",
        "items[1].sku",
        {"currentPrice": 1.9, "currentSku": "milk"},
        "C-1.*milk",
    ),
]


@pytest.mark.parametrize(("wrong", "code", "field", "known", "says"), REFUSALS)
async def test_a_line_that_the_catalogue_contradicts_is_refused(
    client: httpx.AsyncClient,
    database: Database,
    wrong: dict[str, Any],
    code: str,
    field: str,
    known: dict[str, Any],
    says: str,
) -> None:
    """422 naming line, sku and both prices, as a sentence and as members; nothing is placed, and it is counted."""
    before = refused(code)
    answer = await client.post("/api/orders", json=body(line("milk", 1.9), wrong))
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    problem = answer.json()
    assert (problem["code"], problem["field"]) == (code, field)
    said = {name: wrong[name] for name in ("productId", "sku")}
    price = float(wrong["unitPrice"])
    assert problem["errors"] == [{"field": field, "code": code, "line": 1, **said, "unitPrice": price, **known}]
    assert problem["detail"] == problem["message"]
    assert re.search(says, problem["detail"]), problem["detail"]
    assert refused(code) == before + 1
    assert await database.fetchval(COUNT_ORDERS) == 0


async def test_prices_are_told_with_their_digits(client: httpx.AsyncClient) -> None:
    """Both prices are JSON numbers with exactly the digits that were sent and published."""
    answer = await client.post("/api/orders", json=body(line("milk", "1.800")))
    assert b'"unitPrice":1.800' in answer.content
    assert b'"currentPrice":1.90' in answer.content


async def test_a_wrong_currency_is_refused(client: httpx.AsyncClient) -> None:
    """A product that has a currency is sold in no other; one that has none is sold in any."""
    answer = await client.post("/api/orders", json=body(line("milk", 1.9), line("bread", 2.5), currency="USD"))
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "CURRENCY_WRONG", "currency")
    assert [error["line"] for error in answer.json()["errors"]] == [1]
    assert (await client.post("/api/orders", json=body(line("milk", 1.9), currency="USD"))).status_code == 201


async def test_every_line_is_checked(client: httpx.AsyncClient) -> None:
    """All that is wrong is told at once, the first in the sentence; right lines are not among it."""
    lines = [line("milk", 1.9), line("yak", 1), line("bread", 2.5), line("milk", 2), line("ice", 3)]
    problem = (await client.post("/api/orders", json=body(*lines))).json()
    assert [(error["line"], error["code"]) for error in problem["errors"]] == [
        (1, "PRODUCT_UNKNOWN"),
        (3, "PRICE_WRONG"),
        (4, "PRODUCT_INACTIVE"),
    ]
    assert problem["field"] == "items[1].productId"
    assert "2 more" in problem["detail"]


@pytest.mark.parametrize("price", [1.9, "1.90", "1.900000", "19e-1"])
async def test_prices_are_equal_as_numbers(client: httpx.AsyncClient, price: float | str) -> None:
    """9.9 is 9.90; the order keeps the digits of its customer."""
    answer = await client.post("/api/orders", json=body(line("milk", price)))
    assert answer.status_code == 201


async def test_a_wrong_order_does_not_harm_its_neighbours(client: httpx.AsyncClient, database: Database) -> None:
    """Sixty orders that arrive together, every third wrong: each has its own answer, only the right are there."""
    orders = [body(line("milk", 1.9 if number % 3 else 1.8), line("bread", 2.5)) for number in range(60)]
    answers = await asyncio.gather(*(client.post("/api/orders", json=order) for order in orders))
    assert [answer.status_code for answer in answers] == [201 if number % 3 else 422 for number in range(60)]
    assert await database.fetchval(COUNT_ORDERS) == await database.fetchval(COUNT_EVENTS) == 40


async def test_orders_that_share_a_transaction_share_one_read(
    client: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list is read once a transaction, whatever the orders and lines in it."""
    reads: list[Transaction] = []
    fetch = Transaction.fetch

    async def counted(tx: Transaction, sql: Sql, *args: object) -> Any:
        if sql is price_store.READ_PRICES:
            reads.append(tx)
        return await fetch(tx, sql, *args)

    monkeypatch.setattr(Transaction, "fetch", counted)
    lines = [line("milk", 1.9), line("bread", 2.5), line("cheese", 9, sku="C-1")]
    answers = await asyncio.gather(*(client.post("/api/orders", json=body(*lines)) for _ in range(80)))
    assert {answer.status_code for answer in answers} == {201}
    assert len(set(reads)) == len(reads) < 40


async def test_a_key_answers_its_order_whatever_it_costs_now(client: httpx.AsyncClient, shop: OrderShop) -> None:
    """The key is looked at before the price: a repeat is answered as before, another body is a reused key."""
    key = {"Idempotency-Key": "k-1"}
    first = await client.post("/api/orders", json=body(line("milk", 1.9)), headers=key)
    assert first.status_code == 201
    await shop.sell(product("milk", "2.10", 2))
    again = await client.post("/api/orders", json=body(line("milk", 1.9)), headers=key)
    assert (again.status_code, again.content) == (201, first.content)
    for other in (line("milk", 1.8), line("milk", 2.1)):
        reused = await client.post("/api/orders", json=body(other), headers=key)
        assert (reused.status_code, reused.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    without = await client.post("/api/orders", json=body(line("milk", 1.9)))
    assert (without.status_code, without.json()["code"]) == (422, "PRICE_WRONG")


async def test_a_refusal_does_not_use_up_its_key(
    client: httpx.AsyncClient, shop: OrderShop, database: Database
) -> None:
    """A refused order claims no key: the same order under the same key is placed once its price is right."""
    key = {"Idempotency-Key": "k-1"}
    wrong = await client.post("/api/orders", json=body(line("milk", 2.1)), headers=key)
    assert wrong.status_code == 422
    assert await database.fetchval(COUNT_KEYS) == 0
    await shop.sell(product("milk", "2.10", 2))
    assert (await client.post("/api/orders", json=body(line("milk", 2.1)), headers=key)).status_code == 201


async def test_repeats_of_a_changed_price_do_not_harm_their_neighbours(
    client: httpx.AsyncClient, shop: OrderShop, database: Database
) -> None:
    """In one batch: a repeat under its key, a refusal under a new key, a right order under a new key, one without."""
    key = {"Idempotency-Key": "old"}
    first = await client.post("/api/orders", json=body(line("milk", 1.9)), headers=key)
    await shop.sell(product("milk", "2.10", 2))
    posts = [(1.9, "old"), (1.9, "new"), (2.1, "right"), (2.1, None), (1.9, None)]
    answers = await asyncio.gather(
        *(
            client.post("/api/orders", json=body(line("milk", price)), headers={"Idempotency-Key": k} if k else {})
            for price, k in posts
        )
    )
    assert [answer.status_code for answer in answers] == [201, 422, 201, 201, 422]
    assert answers[0].content == first.content
    assert await database.fetchval(COUNT_ORDERS) == 3


async def test_client_pricing_trusts(database: Database) -> None:
    """With app.order.pricing client nothing is asked: unknown products are sold at the client's price."""
    async with customer(database, {"APP_ORDER_PRICING": "client"}) as client:
        placed = await client.post("/api/orders", json=body(line("yak", 12.5)))
    assert (placed.status_code, placed.json()["totalAmount"]) == (201, 12.5)


async def test_refusals_can_be_watched_from_the_start(client: httpx.AsyncClient) -> None:
    """Every reason has its series before it happens."""
    text = (await client.get("/metrics")).text
    for reason in (*Reason, "PRICES_BEHIND", "PRICES_BUSY"):
        assert f'\norder_price_refused_total{{reason="{reason}"}} ' in text
    assert "\norder_price_waiting 0.0" in text


def test_the_catalogue_is_the_default() -> None:
    """Who configures nothing is not at the mercy of his clients; the patience is a second."""
    order = build({}).blueprint.settings.app.order
    assert (order.pricing, order.price_patience.total_seconds()) == ("catalogue", 1)
    assert build({"ORDER__APP_ORDER_PRICING": "client"}).blueprint.settings.app.order.pricing == "client"
