"""The provider's webhooks: signed, found by either name, told once, never able to contradict what is final."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from dovecote.sql import Sql
from tests.payment.stories import PaymentDesk, ends, intent, new_order_id, pending, placed

SECRET = "dev-webhook-secret"
WEBHOOKS = Sql("SELECT count(*) FROM webhook_event")


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


@pytest.mark.parametrize("kind", ["payment.authorized", "payment.failed"])
async def test_a_webhook_that_overtakes_its_order(client: httpx.AsyncClient, desk: PaymentDesk, kind: str) -> None:
    """Before order.created is heard the webhook is refused and forgotten: said again, it is processed (G12)."""
    order_id = new_order_id()
    payment = (await client.post("/api/payments/intents", json=intent(order_id))).json()
    body = authorized(payment["paymentId"], kind=kind)
    assert (await hook(client, body)).status_code == 400
    assert await desk.database.fetchval(WEBHOOKS) == 0
    await desk.hear(placed(order_id))
    assert (await hook(client, body)).json() == {"status": "processed"}
    assert await desk.events(order_id) == [kind.split(".")[1]]


async def test_a_webhook_for_an_order_that_ended_unheard(client: httpx.AsyncClient, desk: PaymentDesk) -> None:
    """Over before anybody said what it costs: refused until it can be let go, and then it is let go."""
    order_id = new_order_id()
    await desk.hear(ends(order_id)[0])
    body = authorized((await desk.payment(order_id))["payment_id"])
    assert (await hook(client, body)).status_code == 400
    assert await desk.database.fetchval(WEBHOOKS) == 0
    await desk.hear(placed(order_id))
    assert (await hook(client, body)).json() == {"status": "ignored"}
    assert await desk.stage(order_id) == "VOIDING"


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


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"[" * 10_000, b"\xff"])
async def test_a_webhook_that_is_no_object(client: httpx.AsyncClient, raw: bytes) -> None:
    """Well signed and not what a webhook is: 400, never 500."""
    assert (await hook(client, raw)).status_code == 400
