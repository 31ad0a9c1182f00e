"""Payment's HTTP on a real database: the wire contract's answers, bad input, signatures, operators' paths."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from prometheus_client import REGISTRY
from tests.payment.stories import PaymentDesk, ends, new_order_id, placed

from dovecote.sql import Sql
from ecom.payment import service
from ecom.provider.interface import Operation
from ecom.web.application import application

SECRET = "dev-webhook-secret"
WEBHOOKS = Sql("SELECT count(*) FROM webhook_event")
PAYMENTS = Sql("SELECT count(*) FROM payment")


@pytest.fixture
async def client(desk: PaymentDesk) -> AsyncIterator[httpx.AsyncClient]:
    """The service's routes as a client sees them, in webhook-or-auto mode alike: routes do not ask the provider."""
    app = application([(service.build({}), desk.database)], name="payment-service")
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        yield client


def intent(order_id: str, **changes: object) -> dict[str, object]:
    return {
        "orderId": order_id,
        "userId": 7,
        "amount": 12.5,
        "currency": "USD",
        "idempotencyKey": f"key-{order_id}",
        **changes,
    }


async def hook(client: httpx.AsyncClient, body: dict[str, Any] | bytes, signature: str | None = None) -> httpx.Response:
    """A webhook, signed as the provider signs it unless another signature is given."""
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    signed = hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest() if signature is None else signature
    headers = {"X-Razorpay-Signature": signed} if signed else {}
    return await client.post("/api/payments/webhook", content=raw, headers=headers)


def authorized(reference: str, event_id: str | None = None, kind: str = "payment.authorized") -> dict[str, Any]:
    return {
        "providerEventId": event_id or f"evt_{uuid4()}",
        "providerPaymentId": reference,
        "eventType": kind,
        "failureReason": "insufficient funds" if kind.lower() == "payment.failed" else None,
    }


async def pending(client: httpx.AsyncClient, desk: PaymentDesk) -> tuple[str, dict[str, Any]]:
    """An order whose payment is PENDING, and that payment."""
    order_id = new_order_id()
    await desk.hear(placed(order_id))
    return order_id, (await client.post("/api/payments/intents", json=intent(order_id))).json()


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
    assert (await hook(client, raw)).status_code == 400


async def test_unknown_payment(client: httpx.AsyncClient) -> None:
    """404 for a payment that is not there."""
    assert (await client.get("/api/payments/pay_none")).status_code == 404


async def test_a_webhook_resolves_a_payment(client: httpx.AsyncClient, desk: PaymentDesk) -> None:
    """Found by our own reference, whatever the case of the type: processed once, then already processed."""
    order_id, payment = await pending(client, desk)
    body = authorized(payment["providerPaymentId"], kind="PAYMENT.Authorized")
    assert (await hook(client, body)).json() == {"status": "processed"}
    assert (await hook(client, body)).json() == {"status": "already_processed"}
    assert (await hook(client, {**body, "providerEventId": "evt_2"})).json() == {"status": "already_processed"}
    assert await desk.events(order_id) == ["authorized"]
    await desk.settle()
    assert await desk.events(order_id) == ["authorized"]


async def test_a_webhook_by_the_providers_id(client: httpx.AsyncClient, desk: PaymentDesk) -> None:
    """Once the provider has named the payment, its webhooks find it by that name; a contradiction is ignored."""
    order_id, _ = await pending(client, desk)
    await desk.settle()
    name = (await desk.payment(order_id))["provider_payment_id"]
    assert (await hook(client, authorized(name))).json() == {"status": "already_processed"}
    assert (await hook(client, authorized(name, kind="payment.failed"))).json() == {"status": "ignored"}
    assert await desk.events(order_id) == ["authorized"]


async def test_a_webhook_that_fails_a_payment(client: httpx.AsyncClient, desk: PaymentDesk) -> None:
    """payment.failed with the provider's reason; a later authorized contradicts it: ignored, and held no longer."""
    order_id, payment = await pending(client, desk)
    failed = authorized(payment["paymentId"], kind="payment.failed")
    assert (await hook(client, failed)).json() == {"status": "processed"}
    assert (await desk.said(order_id))[0][1]["reason"] == "insufficient funds"
    assert (await hook(client, authorized(payment["paymentId"]))).json() == {"status": "ignored"}
    await desk.settle()
    assert await desk.events(order_id) == ["failed"]
    assert desk.held_minor(order_id) == 0


async def test_a_webhook_of_another_kind(client: httpx.AsyncClient, desk: PaymentDesk) -> None:
    """Types we do not know are accepted and ignored."""
    order_id, payment = await pending(client, desk)
    answer = await hook(client, authorized(payment["paymentId"], kind="payment.disputed"))
    assert (answer.status_code, answer.json()) == (200, {"status": "ignored"})
    assert await desk.events(order_id) == []


@pytest.mark.parametrize("signature", ["", "0" * 64, "nonsense", "ü"])
async def test_a_webhook_with_a_wrong_signature(client: httpx.AsyncClient, desk: PaymentDesk, signature: str) -> None:
    """Missing or wrong: 400, and nothing is remembered of it."""
    order_id, payment = await pending(client, desk)
    raw = msgspec.json.encode(authorized(payment["paymentId"]))
    headers = {b"X-Razorpay-Signature": signature.encode()} if signature else {}
    answer = await client.post("/api/payments/webhook", content=raw, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "SIGNATURE_INVALID")
    assert await desk.database.fetchval(WEBHOOKS) == 0
    assert await desk.events(order_id) == []


async def test_a_webhook_for_an_unknown_payment(client: httpx.AsyncClient, desk: PaymentDesk) -> None:
    """400, so that the sender tries again; the retry is then not taken for a repetition (G12)."""
    body = authorized("pay_unknown")
    assert (await hook(client, body)).status_code == 400
    assert await desk.database.fetchval(WEBHOOKS) == 0


@pytest.mark.parametrize("field", ["providerEventId", "providerPaymentId", "eventType"])
async def test_a_webhook_without_a_field(client: httpx.AsyncClient, field: str) -> None:
    """Signed and malformed: 400 that names the field."""
    body = authorized("pay_1")
    del body[field]
    answer = await hook(client, body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


async def test_the_same_webhook_twenty_times_at_once(client: httpx.AsyncClient, desk: PaymentDesk) -> None:
    """One is processed, the others are repetitions; one event."""
    order_id, payment = await pending(client, desk)
    body = authorized(payment["paymentId"])
    answers = await asyncio.gather(*(hook(client, body) for _ in range(20)))
    statuses = sorted(answer.json()["status"] for answer in answers)
    assert statuses == ["already_processed"] * 19 + ["processed"]
    assert await desk.events(order_id) == ["authorized"]


async def test_outage_mode_and_dead_letters(client: httpx.AsyncClient, desk: PaymentDesk) -> None:
    """Switch off, let the tries run out, see the dead letter, requeue it once, switch on: the sale goes on."""
    path = "/api/payments/provider"
    assert (await client.get(f"{path}/outage-mode")).json() == {"outageMode": False}
    assert (await client.post(f"{path}/outage-mode?enabled=true")).json() == {"outageMode": True}
    desk.switch.bind(desk.database)
    order_id, payment = await pending(client, desk)
    for _ in range(3):
        await desk.work(Operation.AUTHORIZE)
    (letter,) = (await client.get(f"{path}/dead-letters")).json()
    assert letter["orderId"] == order_id
    assert (letter["attempts"], letter["status"], letter["failureReason"]) == (3, "PENDING", "OUTAGE_MODE")
    assert (letter["amount"], letter["currency"], letter["operation"]) == (12.5, "USD", "authorize")
    assert (await client.get(f"/api/payments/{payment['paymentId']}")).json()["settlement"] == "UNKNOWN"
    requeued = await client.post(f"{path}/dead-letters/{letter['id']}/requeue")
    assert (requeued.status_code, requeued.json()["paymentId"]) == (200, payment["paymentId"])
    again = await client.post(f"{path}/dead-letters/{letter['id']}/requeue")
    assert (again.status_code, again.json()["code"]) == (400, "DEAD_LETTER_NOT_PENDING")
    (letter,) = (await client.get(f"{path}/dead-letters")).json()
    assert (letter["status"], letter["requeuedPaymentId"]) == ("REQUEUED", payment["paymentId"])
    await desk.work(Operation.AUTHORIZE)
    assert len((await client.get(f"{path}/dead-letters")).json()) == 1
    assert (await client.post(f"{path}/outage-mode?enabled=false")).json() == {"outageMode": False}
    await desk.switch.set(outage=False)
    await desk.settle()
    assert await desk.events(order_id) == ["authorized"]


@pytest.mark.parametrize("name", ["0", "999", "-1", "abc", "9" * 40, "%20"])
async def test_requeue_of_nothing(client: httpx.AsyncClient, name: str) -> None:
    """An unknown dead letter is 400."""
    answer = await client.post(f"/api/payments/provider/dead-letters/{name}/requeue")
    assert answer.status_code == 400


async def test_outage_mode_asks_for_a_truth(client: httpx.AsyncClient) -> None:
    """?enabled= is needed and is a boolean."""
    for query in ("", "?enabled=perhaps"):
        assert (await client.post(f"/api/payments/provider/outage-mode{query}")).status_code == 400


def test_metric_names() -> None:
    """The metrics of the wire contract are there by their names."""
    names = {sample.name for family in REGISTRY.collect() for sample in family.samples}
    families = {family.name for family in REGISTRY.collect()}
    assert {"payment_provider_retry_total", "payment_provider_dlq_total"} <= names
    assert {"payment_provider_requeue", "payment_provider_outage_toggle"} <= families


async def test_ids(client: httpx.AsyncClient) -> None:
    """Ids are pay_<uuid>."""
    payment = (await client.post("/api/payments/intents", json=intent(new_order_id()))).json()
    assert re.fullmatch(r"pay_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", payment["paymentId"])
