"""The order service over HTTP on the real PostgreSQL: placing, asking, refusals with the field named."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest

from dovecote.database import Database
from dovecote.sql import Sql
from ecom.order import http, saga, service
from ecom.order.domain import PaymentWasAuthorized, StockWasReserved
from ecom.web.application import application
from ecom.web.built import Built
from tests.order.stories import OrderShop

# Prices are not what these tests are about.
RULES = http.Rules(timedelta(minutes=15), by_catalogue=False)
COUNT_ORDERS = Sql("SELECT count(*) FROM orders")
COUNT_EVENTS = Sql("SELECT count(*) FROM outbox_event_record")
FAIL_EVENTS = Sql("UPDATE outbox_event_record SET status = 'FAILED', attempts = 5, last_error = 'planted'")
COMMITS = Sql("SELECT count(DISTINCT xmin::text) FROM orders")


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """The service's routes in the shop's application."""
    built = Built(service.build({}).blueprint, lambda db: http.routes(db, RULES))
    transport = httpx.ASGITransport(app=application([(built, database)], name="order-service"))
    async with httpx.AsyncClient(transport=transport, base_url="http://order.example") as client:
        yield client


def body(**changes: Any) -> dict[str, Any]:
    """A body as clients in the field send it: sku = productId, prices as JSON numbers."""
    lines = [
        {"productId": "A", "sku": "A", "quantity": 2, "unitPrice": 7.45},
        {"productId": "B", "sku": "B", "quantity": 1, "unitPrice": "4.90"},
    ]
    return {"userId": 7, "currency": "EUR", "items": lines, **changes}


def line(**changes: Any) -> dict[str, Any]:
    """A body of one line with something changed."""
    return body(items=[{"productId": "A", "sku": "A", "quantity": 1, "unitPrice": 1, **changes}])


async def test_an_order_is_placed_and_read(client: httpx.AsyncClient, shop: OrderShop) -> None:
    """201 with the whole order, prices and total as numbers with exact digits; GET answers the same."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    placed = await client.post("/api/orders", json=body(), headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    assert placed.status_code == 201
    assert b'"totalAmount":19.80' in placed.content
    assert b'"unitPrice":4.90' in placed.content
    order = placed.json()
    assert order.keys() == {"id", "userId", "status", "totalAmount", "currency", "items", "createdAt", "updatedAt"}
    assert order["id"].startswith("ord_")
    assert (order["status"], order["userId"], order["currency"]) == ("PAYMENT_PENDING", 7, "EUR")
    shown = await client.get(f"/api/orders/{order['id']}")
    assert (shown.status_code, shown.content) == (200, placed.content)
    assert [row["trace_id"] for row in await shop.outbox(order["id"])] == [trace]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (body(items=[]), "items"),
        ({"currency": "EUR", "items": body()["items"]}, "userId"),
        ({"userId": 7, "currency": "EUR"}, "items"),
        (body(userId=0), "userId"),
        (body(userId="seven"), "userId"),
        (body(userId=2**63), "userId"),
        (body(userId=10**40), "userId"),
        (body(currency="XX"), "currency"),
        (body(currency="XXX"), "currency"),
        (body(currency=None), "currency"),
        (line(quantity=0), "items[0].quantity"),
        (line(quantity=-1), "items[0].quantity"),
        (line(quantity=2**31), "items[0].quantity"),
        (line(quantity=1.5), "items[0].quantity"),
        (line(unitPrice=-0.01), "items[0].unitPrice"),
        (line(unitPrice="NaN"), "items[0].unitPrice"),
        (line(unitPrice="Infinity"), "items[0].unitPrice"),
        (line(unitPrice="-Infinity"), "items[0].unitPrice"),
        (line(unitPrice="sNaN"), "items[0].unitPrice"),
        (line(unitPrice="1e400"), "items[0].unitPrice"),
        (line(unitPrice="0.0000001"), "items[0].unitPrice"),
        (line(unitPrice="1e-400"), "items[0].unitPrice"),
        (line(unitPrice="a lot"), "items[0].unitPrice"),
        (line(unitPrice=True), "items[0].unitPrice"),
        (line(sku=""), "items[0].sku"),
        (line(sku="s" * 101), "items[0].sku"),
        (line(productId=5), "items[0].productId"),
        (line(quantity=2**31 - 1, unitPrice=10**6), "items"),
        (body(items=[*line(quantity=2**31 - 1)["items"], *line()["items"]]), "items"),
        (body(items=line()["items"] * 2000), "items"),
        (body(email="nobody"), "email"),
        (body(email="a@b.example\nBcc: c@d.example"), "email"),
        (body(email="a" * 250 + "@b.example"), "email"),
        (body(paymentMethod=""), "paymentMethod"),
    ],
)
async def test_bad_input_names_its_field(client: httpx.AsyncClient, given: dict[str, Any], field: str) -> None:
    """400 as problem JSON that names the field, with the names older clients read; nothing is placed."""
    refused = await client.post(
        "/api/orders", content=msgspec.json.encode(given), headers={"Content-Type": "application/json"}
    )
    assert refused.status_code == 400
    assert refused.headers["content-type"] == "application/problem+json"
    problem = refused.json()
    assert problem["field"] == field
    assert (problem["status"], problem["code"]) == (400, "VALIDATION_FAILED")
    assert problem["message"] == problem["detail"]


@pytest.mark.parametrize("price", ["Infinity", "NaN", "1e400"])
async def test_a_price_beyond_json_is_refused(client: httpx.AsyncClient, price: str) -> None:
    """A bare NaN is no JSON, a bare 1e400 no price: 400 both, never a 500."""
    content = msgspec.json.encode(line(unitPrice="?")).replace(b'"?"', price.encode())
    refused = await client.post("/api/orders", content=content, headers={"Content-Type": "application/json"})
    assert refused.status_code == 400


async def test_amounts_at_the_edge_are_placed(client: httpx.AsyncClient, shop: OrderShop) -> None:
    """Zero with a sign, an exponent, six decimals and lower-case letters: all are written plainly in the event."""
    prices = ["-0.0", "1E+2", "0.000001", 0]
    items = [{"productId": "A", "sku": f"S{n}", "quantity": 1, "unitPrice": price} for n, price in enumerate(prices)]
    placed = await client.post("/api/orders", json=body(currency="eur", items=items))
    assert placed.status_code == 201
    payload = await shop.payload(placed.json()["id"], 1)
    assert [item["unitPrice"] for item in payload["items"]] == ["0.0", "100", "0.000001", "0"]
    assert (payload["totalAmount"], payload["currency"]) == ("100.00", "EUR")


async def test_five_hundred_lines_are_an_order(client: httpx.AsyncClient) -> None:
    """The largest order is accepted whole."""
    items = [{"productId": f"P{n}", "sku": f"S{n}", "quantity": 1, "unitPrice": 1.5} for n in range(500)]
    placed = await client.post("/api/orders", json=body(items=items))
    assert (placed.status_code, placed.json()["totalAmount"]) == (201, 750)


async def test_posts_that_arrive_together_share_a_transaction(client: httpx.AsyncClient, database: Database) -> None:
    """Eighty concurrent posts are eighty orders in far fewer commits."""
    answers = await asyncio.gather(*(client.post("/api/orders", json=body(userId=n)) for n in range(1, 81)))
    assert [answer.json()["userId"] for answer in answers] == list(range(1, 81))
    assert await database.fetchval(COUNT_ORDERS) == 80
    assert await database.fetchval(COMMITS) < 40


async def test_a_customers_orders_newest_first(client: httpx.AsyncClient, shop: OrderShop) -> None:
    """GET ?userId= lists that customer's orders only, newest first, as many as asked for."""
    for user_id in (7, 8, 7, 7):
        await client.post("/api/orders", json=body(userId=user_id))
    listed = (await client.get("/api/orders", params={"userId": 7})).json()
    assert [order["userId"] for order in listed] == [7, 7, 7]
    assert [order["id"] for order in listed] == sorted((order["id"] for order in listed), reverse=True) or (
        sorted((order["createdAt"] for order in listed), reverse=True) == [order["createdAt"] for order in listed]
    )
    assert (await client.get("/api/orders", params={"userId": 7, "limit": 2})).json() == listed[:2]
    assert (await client.get("/api/orders", params={"userId": 9})).json() == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "userId"),
        ("userId=x", "userId"),
        ("userId=0", "userId"),
        ("userId=7&limit=0", "limit"),
        ("userId=7&limit=100000", "limit"),
        (f"userId={2**63}", "userId"),
    ],
)
async def test_a_list_needs_a_customer(client: httpx.AsyncClient, query: str, field: str) -> None:
    """A list without a customer or without a bound is refused, the field named."""
    refused = await client.get(f"/api/orders?{query}")
    assert (refused.status_code, refused.json()["field"]) == (400, field)


@pytest.mark.parametrize("path", ["", "/cancel", "/confirm"])
async def test_an_unknown_order_is_404(client: httpx.AsyncClient, path: str) -> None:
    """Reading, cancelling and confirming what is not there say so."""
    answer = await (client.post if path else client.get)(f"/api/orders/ord_unknown{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "ORDER_UNKNOWN")


async def test_confirm_never_overrides_the_saga(client: httpx.AsyncClient, shop: OrderShop) -> None:
    """409 until payment and stock have both answered, then the confirmed order, as often as asked."""
    (order,) = await shop.place()
    for event in (PaymentWasAuthorized(order_id=order.id), StockWasReserved(order_id=order.id)):
        refused = await client.post(f"/api/orders/{order.id}/confirm")
        assert (refused.status_code, refused.json()["code"]) == (409, "ORDER_STATE")
        await shop.hear(event)
    for _ in range(2):
        confirmed = await client.post(f"/api/orders/{order.id}/confirm")
        assert (confirmed.status_code, confirmed.json()["status"]) == (200, "CONFIRMED")
    assert len(await shop.said(order.id)) == 2


async def test_a_customer_cancels(client: httpx.AsyncClient, shop: OrderShop) -> None:
    """Pending and confirmed orders are cancelled with a reason and one event; what has ended is 409."""
    pending, confirmed = await shop.place(2)
    await shop.hear(PaymentWasAuthorized(order_id=confirmed.id))
    await shop.hear(StockWasReserved(order_id=confirmed.id))
    for order in (pending, confirmed):
        answer = await client.post(f"/api/orders/{order.id}/cancel")
        assert answer.status_code == 200
        assert (answer.json()["status"], answer.json()["reason"]) == ("CANCELLED", "CUSTOMER_CANCELLED")
        assert (await shop.said(order.id))[-1][0] == "order.cancelled.v1"
        again = await client.post(f"/api/orders/{order.id}/cancel")
        assert (again.status_code, again.json()["code"]) == (409, "ORDER_STATE")


async def test_concurrent_cancels_have_one_winner(client: httpx.AsyncClient, shop: OrderShop) -> None:
    """Of twenty cancels at once one gets 200, the others 409."""
    (order,) = await shop.place()
    answers = await asyncio.gather(*(client.post(f"/api/orders/{order.id}/cancel") for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 19


async def test_operators_run_timeouts_and_replay(client: httpx.AsyncClient, shop: OrderShop) -> None:
    """Both admin calls answer a sentence with the count; a replay takes a hundred at most."""
    await shop.place(120, timeout=timedelta(seconds=-1))
    ran = await client.post("/api/orders/admin/saga/timeouts/run")
    assert (ran.status_code, ran.text) == (200, "Timed out 120 orders.")
    assert ran.headers["content-type"].startswith("text/plain")
    async with shop.database.transaction() as tx:
        await tx.execute(FAIL_EVENTS)
    before = http.OUTBOX_REPLAYED._value.get()
    texts = [(await client.post("/api/orders/admin/outbox/replay-failed")).text for _ in range(4)]
    assert texts == [f"Replayed {count} failed outbox records." for count in (100, 100, 40, 0)]
    assert http.OUTBOX_REPLAYED._value.get() == before + 240


async def test_metrics_have_the_names_of_the_contract(client: httpx.AsyncClient) -> None:
    """Dashboards in the field find their series."""
    text = (await client.get("/metrics")).text
    for name in ("order_saga_timeout_total", "order_outbox_failed_records", "order_outbox_replay_total"):
        assert f"\n{name} " in text


async def test_the_calls_are_described(client: httpx.AsyncClient) -> None:
    """/openapi.json names every call of the order service, with the body of a placing."""
    described = (await client.get("/openapi.json")).json()
    assert {path for path in described["paths"] if path.startswith("/api/")} == {
        "/api/orders",
        "/api/orders/{order_id}",
        "/api/orders/{order_id}/cancel",
        "/api/orders/{order_id}/confirm",
        "/api/orders/admin/saga/timeouts/run",
        "/api/orders/admin/outbox/replay-failed",
    }
    bodies = described["components"]["schemas"]
    assert {"userId", "currency", "items"} <= bodies["PlaceOrder"]["properties"].keys()


def test_the_sweep_has_a_limit() -> None:
    """One transaction of the sweep stays small."""
    assert saga.SWEEP_MAX <= 1000
