"""Notification's HTTP on a real database: what clients read and what operators do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from prometheus_client import REGISTRY

from dovecote.database import Database
from dovecote.intents import DAWN, LEASE, Intent
from ecom.notification import service
from ecom.notification.domain import OrderPlaced, Patience
from ecom.notification.letters import Letters
from ecom.notification.worker import Answers, log_worker
from ecom.web.application import application
from tests.notification.stories import hear, notifications, statuses

LATER = timedelta(hours=1)


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    app = application([(service.build({}), database)], name="notification-service")
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        yield client


async def answer_all(database: Database, error: str | None, *, tries_max: int = 3) -> None:
    """Every pending mail gets this answer."""
    worker = log_worker(Patience(tries_max=tries_max, first_delay=LATER))
    async with database.transaction("work") as tx:
        rows = await tx.fetch(LEASE, worker.kind, tx.now, tx.now, 1000, DAWN)
        intents = [Intent(**row) for row in rows]
        answers: Answers = [(intent, {UUID(intent.subject): error}) for intent in intents]
        await worker.record(tx, answers)


async def test_a_user_sees_the_mails_newest_first(
    client: httpx.AsyncClient, database: Database, letters: Letters
) -> None:
    """Only the user's own, with every field of the contract; without userId it is 400."""
    for order_id, user_id in (("o1", 7), ("o2", 7), ("o3", 8)):
        await hear(database, letters, OrderPlaced(order_id=order_id, user_id=user_id))
    answer = await client.get("/api/notifications", params={"userId": 7})
    assert [each["subject"] for each in answer.json()] == ["Your order o2", "Your order o1"]
    assert set(answer.json()[0]) == {
        *("id", "eventId", "eventType", "userId", "recipientEmail", "subject", "body", "status"),
        *("retryCount", "lastError", "createdAt", "updatedAt"),
    }
    missing = await client.get("/api/notifications")
    assert (missing.status_code, missing.json()["field"]) == (400, "userId")
    assert (await client.get("/api/notifications?userId=x")).status_code == 400


async def test_failed_mails_are_listed_and_sent_once_more(
    client: httpx.AsyncClient, database: Database, letters: Letters
) -> None:
    """/failed shows those that wait, oldest first; retry-failed does not wait for their time."""
    await hear(database, letters, *(OrderPlaced(order_id=f"o{n}", user_id=n) for n in range(3)))
    await answer_all(database, "451 busy")
    failed = (await client.get("/api/notifications/failed")).json()
    assert [(each["status"], each["retryCount"], each["lastError"]) for each in failed] == [
        ("FAILED", 1, "451 busy")
    ] * 3
    retried = await client.post("/api/notifications/retry-failed")
    assert (retried.status_code, retried.text) == (200, "3 failed notifications are sent once more.")
    assert await statuses(database) == {"PENDING": 3}
    await answer_all(database, None)
    assert await statuses(database) == {"SENT": 3}
    assert (await client.get("/api/notifications/failed")).json() == []


async def test_a_dead_letter_is_requeued_once(client: httpx.AsyncClient, database: Database, letters: Letters) -> None:
    """Requeue sends the mail with new patience and marks the letter; a second is 409, an unknown one 404."""
    await hear(database, letters, OrderPlaced(order_id="o", user_id=7))
    await answer_all(database, "550 unknown", tries_max=1)
    [letter] = (await client.get("/api/notifications/dead-letters")).json()
    assert (letter["status"], letter["retries"], letter["reason"]) == ("DEAD_LETTER", 1, "550 unknown")
    assert letter["sourceTopic"] == "topic-of-order.created.v1"
    before = REGISTRY.get_sample_value("notification_requeue_total") or 0.0
    path = f"/api/notifications/dead-letters/{letter['id']}/requeue"
    assert (await client.post(path)).status_code == 200
    assert (await client.post(path)).status_code == 409
    assert REGISTRY.get_sample_value("notification_requeue_total") == before + 1
    for unknown in (str(uuid4()), "7"):
        assert (await client.post(f"/api/notifications/dead-letters/{unknown}/requeue")).status_code == 404
    [row] = await notifications(database)
    assert (row["status"], row["retry_count"], row["tries"]) == ("PENDING", 0, 2)
    await answer_all(database, "550 unknown", tries_max=1)
    letters_now = (await client.get("/api/notifications/dead-letters")).json()
    assert [each["status"] for each in letters_now] == ["DEAD_LETTER", "REQUEUED"]
    assert {UUID(each["eventId"]) for each in letters_now} == {row["event_id"]}


async def test_metrics_have_the_names_of_the_contract(
    client: httpx.AsyncClient, database: Database, letters: Letters
) -> None:
    """Sent, failed and given up are counted under the names that dashboards in the field look for."""
    names = ("notification_sent_total", "notification_failed_total", "notification_dead_letter_total")
    before = {name: REGISTRY.get_sample_value(name) or 0.0 for name in names}
    await hear(database, letters, *(OrderPlaced(order_id=f"o{n}", user_id=n) for n in range(2)))
    await answer_all(database, "550 unknown", tries_max=1)
    await hear(database, letters, OrderPlaced(order_id="o9", user_id=9))
    await answer_all(database, None)
    grown = [(REGISTRY.get_sample_value(name) or 0.0) - before[name] for name in names]
    assert grown == [1, 2, 2]
    text = (await client.get("/metrics")).text
    assert all(name in text for name in names)
