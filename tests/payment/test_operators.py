"""Operators' paths: dead letters of the provider, the outage switch, metrics."""

from __future__ import annotations

import httpx
import pytest
from prometheus_client import REGISTRY

from ecom.provider.interface import Operation
from tests.payment.stories import PaymentDesk, pending


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
