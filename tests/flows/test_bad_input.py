"""Bad input over HTTP on the whole shop: problem JSON that names the field, never a 500, and nothing stored."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from dovecote.sql import Sql
from tests.flows.market import Market, new_sku, new_user

JSON = {"Content-Type": "application/json"}
COUNTS = {
    "order": Sql("SELECT count(*) FROM orders"),
    "payment": Sql("SELECT count(*) FROM payment"),
    "inventory": Sql("SELECT (SELECT count(*) FROM stock) + (SELECT count(*) FROM reservation)"),
}
ORDERS = "/api/orders"
INTENTS = "/api/payments/intents"
STOCK = "/api/inventory/stock"
RESERVE = "/api/inventory/reserve"
KEY = "Idempotency-Key"


def line(**changes: Any) -> dict[str, Any]:
    """A good line, but for the changes."""
    return {"productId": "A", "sku": "A", "quantity": 1, "unitPrice": "1.00", **changes}


def order(*lines: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A good order of these lines, but for the changes."""
    return {"userId": 7, "currency": "EUR", "items": list(lines), **changes}


def intent(**changes: Any) -> dict[str, Any]:
    """A good intent, but for the changes."""
    good = {"orderId": "ord_bad", "userId": 7, "amount": 1, "currency": "EUR", "idempotencyKey": "bad-input"}
    return {**good, **changes}


def without(given: dict[str, Any], field: str) -> dict[str, Any]:
    """The same without a field."""
    return {name: value for name, value in given.items() if name != field}


@dataclass(frozen=True)
class Bad:
    """A request that must be refused. ``body`` is sent as it is; ``field`` is what the refusal must name."""

    path: str
    body: bytes
    field: str | None
    status: int = 400
    headers: tuple[tuple[str, str], ...] = tuple(JSON.items())

    @classmethod
    def of(cls, path: str, given: object, field: str | None) -> Bad:
        """With a JSON body; Python writes NaN and Infinity as the words that JSON does not know."""
        return cls(path, json.dumps(given).encode(), field)


def keyed(key: str) -> tuple[tuple[str, str], ...]:
    """The headers of a JSON body under an idempotency key."""
    return (*JSON.items(), (KEY, key))


DEEP = b"[" * 10_000 + b"]" * 10_000
PRICE = "items[0].unitPrice"
BAD = {
    "empty items": Bad.of(ORDERS, order(), "items"),
    "no items": Bad.of(ORDERS, without(order(), "items"), "items"),
    "no userId": Bad.of(ORDERS, without(order(line()), "userId"), "userId"),
    "null currency": Bad.of(ORDERS, order(line(), currency=None), "currency"),
    "currency of two letters": Bad.of(ORDERS, order(line(), currency="XX"), "currency"),
    "currency that is none": Bad.of(ORDERS, order(line(), currency="QQQ"), "currency"),
    "line without a sku": Bad.of(ORDERS, order(line(), without(line(), "sku")), "items[1].sku"),
    "quantity 0": Bad.of(ORDERS, order(line(quantity=0)), "items[0].quantity"),
    "quantity beyond an integer": Bad.of(ORDERS, order(line(quantity=10**30)), "items[0].quantity"),
    "quantity as text": Bad.of(ORDERS, order(line(quantity="1")), "items[0].quantity"),
    "negative price": Bad.of(ORDERS, order(line(unitPrice=-0.01)), PRICE),
    "price NaN": Bad.of(ORDERS, order(line(unitPrice="NaN")), PRICE),
    "price Infinity": Bad.of(ORDERS, order(line(unitPrice="Infinity")), PRICE),
    "price -Infinity": Bad.of(ORDERS, order(line(unitPrice="-Infinity")), PRICE),
    "price 1e400": Bad(ORDERS, json.dumps(order(line())).replace('"1.00"', "1e400").encode(), PRICE),
    "price as the word NaN": Bad.of(ORDERS, order(line(unitPrice=float("nan"))), None),
    "price as the word Infinity": Bad.of(ORDERS, order(line(unitPrice=float("inf"))), None),
    "2,000 lines": Bad.of(ORDERS, order(*[line()] * 2_000), "items"),
    "a body beyond 1 MB": Bad.of(ORDERS, order(line(), note="x" * 1_100_000), None),
    "10,000 levels deep": Bad(ORDERS, b'{"userId": 7, "currency": "EUR", "items": ' + DEEP + b"}", "items[0]"),
    "10,000 levels deep in an unknown field": Bad(ORDERS, b'{"x": ' + DEEP + b"}", None),
    "only levels": Bad(ORDERS, DEEP, None),
    "no JSON": Bad(ORDERS, b'{"userId": 7, ', None),
    "not UTF-8": Bad(ORDERS, b'{"currency": "\xff\xfe"}', None),
    "U+0000": Bad.of(ORDERS, order(line(sku="a\0b")), None),
    "a list": Bad.of(ORDERS, [1, 2], None),
    "no body": Bad(ORDERS, b"", None),
    "a form": Bad(ORDERS, b"userId=7", None, 415, (("Content-Type", "application/x-www-form-urlencoded"),)),
    "XML": Bad(ORDERS, b"<order/>", None, 415, (("Content-Type", "application/xml"),)),
    "intent without its order": Bad.of(INTENTS, without(intent(), "orderId"), "orderId"),
    "intent of a negative amount": Bad.of(INTENTS, intent(amount=-1), "amount"),
    "intent of a NaN": Bad.of(INTENTS, intent(amount="NaN"), "amount"),
    "intent of an endless amount": Bad.of(INTENTS, intent(amount="Infinity"), "amount"),
    "intent in no currency": Bad.of(INTENTS, intent(currency="XX"), "currency"),
    "intent with a long key": Bad.of(INTENTS, intent(idempotencyKey="k" * 81), "idempotencyKey"),
    "intent without a key": Bad.of(INTENTS, without(intent(), "idempotencyKey"), "idempotencyKey"),
    "intent with two keys": Bad(INTENTS, json.dumps(intent()).encode(), "idempotencyKey", 422, keyed("another")),
    "intent with an endless header": Bad(INTENTS, json.dumps(intent()).encode(), KEY, 400, keyed("k" * 81)),
    "order with an endless key": Bad(ORDERS, json.dumps(order(line())).encode(), KEY, 400, keyed("k" * 256)),
    "negative stock": Bad.of(STOCK, {"sku": "bad", "availableQuantity": -1}, "availableQuantity"),
    "stock beyond an integer": Bad.of(STOCK, {"sku": "bad", "availableQuantity": 2**63}, "availableQuantity"),
    "stock of no sku": Bad.of(STOCK, {"sku": "", "availableQuantity": 1}, "sku"),
    "reservation of nothing": Bad.of(
        RESERVE, {"reservationId": "r", "sku": "bad", "quantity": 0, "ttlMinutes": 1}, "quantity"
    ),
    "reservation for ever": Bad.of(
        RESERVE, {"reservationId": "r", "sku": "bad", "quantity": 1, "ttlMinutes": 121}, "ttlMinutes"
    ),
    "webhook without a signature": Bad.of("/api/payments/webhook", {}, "X-Razorpay-Signature"),
}


@pytest.fixture(scope="module")
async def resting(market: Market) -> Market:
    """The shop once what other stories have left on its topics is heard, so that rows can be counted."""
    await market.until_rest()
    return market


@pytest.mark.parametrize("what", BAD)
async def test_bad_body_is_refused(resting: Market, what: str) -> None:
    """The refusal is problem JSON with the field at fault; no service has a row more than before."""
    bad = BAD[what]
    before = await counts(resting)
    body, url = io.BytesIO(bad.body), resting.urls["order"] + bad.path
    async with resting.http.post(url, data=body, headers=dict(bad.headers)) as answer:
        await assert_problem(answer, 413 if len(bad.body) > 1_000_000 else bad.status, bad.path)
        assert (await answer.json(content_type=None)).get("field") == bad.field
    assert await counts(resting) == before


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/api", 404),
        ("POST", "/api/order", 404),
        ("GET", "/api/orders/ord_nobody", 404),
        ("GET", "/api/orders/" + "x" * 5_000, 404),
        ("GET", "/api/orders/%00", 400),
        ("GET", "/api/orders/%ff%fe", 404),
        ("POST", "/api/orders/ord_nobody/cancel", 404),
        ("POST", "/api/orders/ord_nobody/confirm", 404),
        ("GET", "/api/inventory/stock/nothing-of-it", 404),
        ("GET", "/api/payments/pay_nobody", 404),
        ("GET", "/../../etc/passwd", 404),
        ("DELETE", "/api/orders", 405),
        ("PUT", "/api/orders", 405),
        ("GET", "/api/orders", 400),
        ("GET", "/api/orders?userId=seven", 400),
        ("GET", "/api/orders?userId=1e400", 400),
        ("GET", "/api/notifications", 400),
        ("GET", "/api/notifications?userId=99999999999999999999", 400),
        ("POST", "/api/payments/provider/dead-letters/none/requeue", 400),
        ("POST", "/api/payments/provider/outage-mode", 400),
        ("POST", "/api/notifications/dead-letters/none/requeue", None),
    ],
)
async def test_unknown_paths_and_parameters(market: Market, method: str, path: str, status: int | None) -> None:
    """What is not there, or is asked for in a way that makes no sense, is the client's problem, and says so."""
    async with market.http.request(method, market.urls["order"] + path) as answer:
        await assert_problem(answer, status or answer.status, None)
        assert 400 <= answer.status < 500


async def test_a_chunked_body_without_end_is_cut_off(market: Market) -> None:
    """A body that does not say its length is read no further than 1 MB, and its sender told so."""
    sent = 0

    async def chunks() -> Any:
        nonlocal sent
        yield b'{"note": "'
        for _ in range(200):
            sent += 1
            yield b"x" * 65_536

    try:
        async with market.http.post(market.urls["order"] + ORDERS, data=chunks(), headers=JSON) as answer:
            await assert_problem(answer, 413, ORDERS)
    except aiohttp.ClientConnectionError:
        assert sent < 200, "the connection was cut only after everything was read"


async def test_a_good_order_is_taken_after_all_that(market: Market) -> None:
    """The shop that has refused all this still sells."""
    sku, user_id = new_sku(), new_user()
    await market.shelve(sku, 1)
    await market.until(await market.place(sku, 1, user_id=user_id), "CONFIRMED")


async def counts(market: Market) -> dict[str, int]:
    """How much each service has stored."""
    return {name: await market.database(name).fetchval(question) for name, question in COUNTS.items()}


async def assert_problem(answer: aiohttp.ClientResponse, status: int, path: str | None) -> None:
    """RFC 9457, with the older names that clients in the field read."""
    problem = await answer.json(content_type="application/problem+json")
    assert answer.status == status, problem
    assert problem["status"] == status
    assert problem["message"] == problem["detail"] != ""
    assert problem["code"]
    assert problem["correlationId"] == answer.headers["X-Correlation-Id"]
    if path is not None:
        assert problem["path"] == path
