"""Payment's HTTP on a real database: intents and payments, the wire contract's answers, bad input."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest

from tests.payment.stories import PaymentDesk, ends, intent, new_order_id, placed


async def test_an_intent_after_its_order(client: httpx.AsyncClient, desk: PaymentDesk) -> None:
    """One order has one payment: the intent answers it, with the client's key, and charges nothing more."""
    order_id = new_order_id()
    await desk.hear(placed(order_id))
    await desk.settle()
    answer = await client.post("/api/payments/intents", json=intent(order_id, amount=999))
    assert answer.status_code == 201
    payment = answer.json()
    assert payment["status"] == "AUTHORIZED"
    assert payment["idempotencyKey"] == f"key-{order_id}"
    assert payment["providerPaymentId"].startswith("sim_")
    assert b'"amount":12.50,' in answer.content
    assert set(payment) == {
        *("paymentId", "orderId", "userId", "amount", "currency", "status", "providerPaymentId"),
        *("idempotencyKey", "failureReason", "createdAt", "updatedAt", "settlement"),
    }
    assert (await client.get(f"/api/payments/{payment['paymentId']}")).json() == payment
    assert desk.book(order_id) == ["authorize"]


async def test_an_intent_before_its_order(client: httpx.AsyncClient, desk: PaymentDesk) -> None:
    """It waits, charges nothing, and is then charged with the order's amount, no other."""
    order_id = new_order_id()
    early = (await client.post("/api/payments/intents", json=intent(order_id, amount="99.99"))).json()
    assert (early["status"], early["settlement"], early["amount"]) == ("PENDING", "NONE", 99.99)
    assert early["providerPaymentId"]
    assert await desk.open_intents() == []
    await desk.hear(placed(order_id))
    await desk.settle()
    later = (await client.get(f"/api/payments/{early['paymentId']}")).json()
    assert (later["status"], later["amount"]) == ("AUTHORIZED", 12.5)
    assert desk.held_minor(order_id) == 1250


async def test_an_intent_for_an_order_that_is_over(client: httpx.AsyncClient, desk: PaymentDesk) -> None:
    """The tombstone answers: FAILED, with why, and without an amount nobody ever named to us but the client."""
    order_id = new_order_id()
    await desk.hear(ends(order_id)[1])
    payment = (await client.post("/api/payments/intents", json=intent(order_id))).json()
    assert (payment["status"], payment["failureReason"], payment["settlement"]) == ("FAILED", "ORDER_TIMED_OUT", "NONE")
    await desk.hear(placed(order_id))
    assert await desk.open_intents() == []


async def test_one_key_one_order(client: httpx.AsyncClient) -> None:
    """The same key again answers the same payment; for another order it is 422 and makes nothing."""
    one, two = new_order_id(), new_order_id()
    first = await client.post("/api/payments/intents", json=intent(one, idempotencyKey="k1"))
    again = await client.post("/api/payments/intents", json=intent(one, idempotencyKey="k1"))
    other = await client.post("/api/payments/intents", json=intent(two, idempotencyKey="k1"))
    assert again.json() == first.json()
    assert (other.status_code, other.json()["code"], other.json()["field"]) == (
        422,
        "IDEMPOTENCY_KEY_REUSED",
        "idempotencyKey",
    )


async def test_fifty_clients_at_once(client: httpx.AsyncClient, desk: PaymentDesk) -> None:
    """Fifty intents for five orders, while the orders come: five payments, each authorized once."""
    orders = [new_order_id() for _ in range(5)]
    bodies = [intent(orders[turn % 5], idempotencyKey=f"{orders[turn % 5]}-{turn}") for turn in range(50)]
    answers, _ = await asyncio.gather(
        asyncio.gather(*(client.post("/api/payments/intents", json=body) for body in bodies)),
        desk.hear(*[placed(order_id) for order_id in orders]),
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["paymentId"] for answer in answers}) == 5
    await desk.settle()
    assert [desk.book(order_id) for order_id in orders] == [["authorize"]] * 5


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"orderId": ""}, "orderId"),
        ({"orderId": "o" * 51}, "orderId"),
        ({"orderId": None}, "orderId"),
        ({"userId": 0}, "userId"),
        ({"userId": "seven"}, "userId"),
        ({"userId": 2**63}, "userId"),
        ({"amount": -1}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"amount": "Infinity"}, "amount"),
        ({"amount": "1e30"}, "amount"),
        ({"amount": "much"}, "amount"),
        ({"currency": "XX"}, "currency"),
        ({"currency": "XXX"}, "currency"),
        ({"idempotencyKey": ""}, "idempotencyKey"),
        ({"idempotencyKey": "k" * 81}, "idempotencyKey"),
    ],
)
async def test_bad_intents(client: httpx.AsyncClient, changes: dict[str, object], field: str) -> None:
    """400 problem JSON that names the field; nothing is stored."""
    answer = await client.post("/api/payments/intents", json=intent(new_order_id(), **changes))
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["field"] == field


@pytest.mark.parametrize("missing", ["orderId", "userId", "amount", "currency", "idempotencyKey"])
async def test_missing_fields(client: httpx.AsyncClient, missing: str) -> None:
    """A missing field is named."""
    body = intent(new_order_id())
    del body[missing]
    answer = await client.post("/api/payments/intents", json=body)
    assert (answer.status_code, answer.json()["field"]) == (400, missing)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"[" * 10_000, b'{"amount":1e400}', b"\xff"])
async def test_bad_bodies(client: httpx.AsyncClient, raw: bytes) -> None:
    """What is not the object asked for is 400, never 500."""
    headers = {"content-type": "application/json"}
    assert (await client.post("/api/payments/intents", content=raw, headers=headers)).status_code == 400


async def test_unknown_payment(client: httpx.AsyncClient) -> None:
    """404 for a payment that is not there."""
    assert (await client.get("/api/payments/pay_none")).status_code == 404


async def test_ids(client: httpx.AsyncClient) -> None:
    """Ids are pay_<uuid>."""
    payment = (await client.post("/api/payments/intents", json=intent(new_order_id()))).json()
    assert re.fullmatch(r"pay_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", payment["paymentId"])
