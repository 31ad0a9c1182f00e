"""Intents of clients under their keys: one answer for each, 409 while it is being given, 422 for another body."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest

from dovecote.database import Database
from dovecote.sql import Sql
from ecom.payment import service
from ecom.web.application import application
from tests import twins
from tests.payment.stories import PaymentDesk, intent, new_order_id, placed
from tests.twins import until_stuck

Replicas = tuple[httpx.AsyncClient, httpx.AsyncClient]

INTENTS = "/api/payments/intents"
COUNT = Sql("SELECT (SELECT count(*) FROM payment) AS payments, (SELECT count(*) FROM intent_key) AS keys")
OLD_KEY = Sql("INSERT INTO intent_key (key, order_id, created_at) VALUES ($1, $2, $3)")


@pytest.fixture
async def replicas(client: httpx.AsyncClient, database: Database) -> AsyncIterator[Replicas]:
    """The service twice, each with its own memory and connections."""
    async with twins.another(database, schema=service.SCHEMA) as twin:
        transport = httpx.ASGITransport(app=application([(service.build({}), twin)], name="payment-service"))
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as other:
            yield client, other


def stuck(database: Database) -> contextlib.AbstractAsyncContextManager[asyncpg.Connection]:
    """Let nobody make a payment."""
    return twins.stuck(database, "LOCK TABLE payment_service.payment IN SHARE MODE")


async def ask(client: httpx.AsyncClient, body: dict[str, object], header: str | None = None) -> httpx.Response:
    """Ask for a payment."""
    headers = {"Idempotency-Key": header} if header is not None else {}
    return await client.post(INTENTS, json=body, headers=headers)


async def insist(client: httpx.AsyncClient, body: dict[str, object]) -> list[httpx.Response]:
    """Ask as a client that is told to come again does; all that it was told."""
    return await twins.insist(lambda: ask(client, body))


def assert_in_use(answer: httpx.Response) -> None:
    """The key's first request still runs."""
    twins.assert_in_use(answer, "idempotencyKey")


async def counted(database: Database) -> dict[str, int]:
    """How many payments and keys there are."""
    return dict((await database.fetch(COUNT))[0])


async def test_fifty_callers_with_one_key(replicas: Replicas, database: Database) -> None:
    """At two replicas at once: one payment, each caller ends with the same 201, and is told nothing but 409 before."""
    body = intent(new_order_id())
    told = await asyncio.gather(*(insist(replicas[number % 2], body) for number in range(50)))
    assert {(answers[-1].status_code, answers[-1].content) for answers in told} == {(201, told[0][-1].content)}
    early = [answer for answers in told for answer in answers[:-1]]
    assert early, "nobody met anybody"
    for answer in early:
        assert_in_use(answer)
    assert await counted(database) == {"payments": 1, "keys": 1}


@pytest.mark.parametrize("seed", range(8))
async def test_storms_of_keys_and_bodies(replicas: Replicas, database: Database, seed: int) -> None:
    """Whoever asks for what under which key: one body and answer for each key, one payment for each order."""
    dice, orders = random.Random(seed), [new_order_id() for _ in range(3)]
    bodies = [
        intent(dice.choice(orders), idempotencyKey=f"k{dice.randrange(6)}", userId=dice.randrange(1, 3))
        for _ in range(60)
    ]
    answers: list[httpx.Response] = []
    while bodies:
        wave, bodies = bodies[: (size := dice.randrange(1, 30))], bodies[size:]
        answers += await asyncio.gather(*(ask(replicas[dice.randrange(2)], body) for body in wave))
    assert {answer.status_code for answer in answers} <= {201, 409, 422}
    by_key: dict[str, set[bytes]] = {}
    asked: dict[str, set[str]] = {}
    for answer in answers:
        body = json.loads(answer.request.content)
        by_key.setdefault(body["idempotencyKey"], set())
        if answer.status_code == 201:
            by_key[body["idempotencyKey"]].add(answer.content)
            asked.setdefault(body["idempotencyKey"], set()).add(answer.request.content.decode())
            assert answer.json()["orderId"] == body["orderId"]
    assert {len(contents) for contents in by_key.values()} == {1}
    assert {len(contents) for contents in asked.values()} == {1}
    paid = {json.loads(content)["orderId"] for (content,) in by_key.values()}
    assert await counted(database) == {"payments": len(paid), "keys": len(by_key)}


async def test_a_twin_is_told_at_once(replicas: Replicas, database: Database) -> None:
    """While the first has its key but no answer, nobody waits for it, at its own process or at another."""
    body = intent(new_order_id())
    async with stuck(database):
        first = asyncio.create_task(ask(replicas[0], body))
        await until_stuck(database)
        for client in replicas:
            assert_in_use(await asyncio.wait_for(ask(client, body), 5))
            assert_in_use(await asyncio.wait_for(ask(client, {**body, "userId": 8}), 5))
        assert not first.done()
    made = await first
    assert made.status_code == 201
    for client in replicas:
        assert (await ask(client, body)).content == made.content
        assert (await ask(client, {**body, "userId": 8})).status_code == 422


async def test_a_crash_leaves_the_key_free(replicas: Replicas, database: Database) -> None:
    """The first loses its connection before its answer: 503, nothing is left, and the same key is answered later."""
    body = intent(new_order_id())
    for client in replicas:
        async with stuck(database) as saboteur:
            first = asyncio.create_task(ask(client, body))
            pid = await until_stuck(database)
            assert await saboteur.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)
            assert (await first).status_code == 503
        assert await counted(database) == {"payments": 0, "keys": 0}
    made = await ask(replicas[1], body)
    assert made.status_code == 201
    assert (await ask(replicas[0], body)).content == made.content


async def test_repeats_do_not_refuse_each_other(replicas: Replicas) -> None:
    """Once there is an answer everybody gets it at once, however many ask together."""
    body = intent(new_order_id())
    made = await ask(replicas[0], body)
    answers = await asyncio.gather(*(ask(replicas[number % 2], body) for number in range(50)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, made.content)}


async def test_the_answer_is_repeated_word_for_word(replicas: Replicas, desk: PaymentDesk) -> None:
    """The payment as it was told first, whatever became of it; GET and another key show it as it stands."""
    order_id = new_order_id()
    body = intent(order_id, amount="99.9")
    first = await ask(replicas[0], body)
    assert (first.json()["status"], first.json()["amount"]) == ("PENDING", 99.9)
    await desk.hear(placed(order_id))
    await desk.settle()
    again = await ask(replicas[1], body)
    assert (again.status_code, again.content) == (201, first.content)
    now = (await replicas[0].get(f"/api/payments/{first.json()['paymentId']}")).json()
    assert (now["status"], now["amount"]) == ("AUTHORIZED", 12.5)
    assert (await ask(replicas[0], {**body, "idempotencyKey": "another"})).json() == now
    assert desk.book(order_id) == ["authorize"]


@pytest.mark.parametrize("changes", [{"amount": "12.500"}, {"amount": 12.50}, {"currency": "usd"}, {"note": "new"}])
async def test_the_same_claim_written_otherwise(client: httpx.AsyncClient, changes: dict[str, Any]) -> None:
    """Digits of the same amount, letters of the same currency and unknown fields make no other body."""
    body = intent(new_order_id())
    first = await ask(client, body)
    again = await ask(client, {**body, **changes})
    assert (again.status_code, again.content) == (201, first.content)


@pytest.mark.parametrize("changes", [{"amount": 12.51}, {"currency": "EUR"}, {"userId": 8}, {"orderId": "another"}])
async def test_another_body_is_refused(client: httpx.AsyncClient, database: Database, changes: dict[str, Any]) -> None:
    """Another order, amount, currency or user under a key that was answered: 422, and nothing is made."""
    body = intent(new_order_id())
    assert (await ask(client, body)).status_code == 201
    refused = await ask(client, {**body, **changes})
    assert (refused.status_code, refused.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert refused.json()["field"] == "idempotencyKey"
    assert await counted(database) == {"payments": 1, "keys": 1}


async def test_another_key_for_the_same_order(client: httpx.AsyncClient, database: Database) -> None:
    """One order has one payment, whoever asks first: the second asker gets it, with the key and amount of the first."""
    order_id = new_order_id()
    first = (await ask(client, intent(order_id))).json()
    second = await ask(client, intent(order_id, idempotencyKey="second", amount=1, currency="EUR", userId=8))
    assert (second.status_code, second.json()) == (201, first)
    assert await counted(database) == {"payments": 1, "keys": 2}


async def test_the_key_as_a_header(client: httpx.AsyncClient) -> None:
    """The header stands for the field, and both together for one key where they agree."""
    body = intent(new_order_id(), idempotencyKey="k")
    bare = {name: value for name, value in body.items() if name != "idempotencyKey"}
    first = await ask(client, bare, header="k")
    assert (first.status_code, first.json()["idempotencyKey"]) == (201, "k")
    for again in (await ask(client, body), await ask(client, body, header="k"), await ask(client, bare, header="k")):
        assert (again.status_code, again.content) == (201, first.content)
    assert (await ask(client, {**bare, "userId": 8}, header="k")).status_code == 422


async def test_two_keys_are_none(client: httpx.AsyncClient, database: Database) -> None:
    """A header and a field that differ: 422, nothing is made; a header that promises nothing: 400."""
    refused = await ask(client, intent(new_order_id(), idempotencyKey="one"), header="two")
    assert (refused.status_code, refused.json()["code"]) == (422, "IDEMPOTENCY_KEY_MISMATCH")
    for header in (" ", "k" * 81):
        refused = await ask(client, intent(new_order_id()), header=header)
        assert (refused.status_code, refused.json()["field"]) == (400, "Idempotency-Key")
    assert await counted(database) == {"payments": 0, "keys": 0}


async def test_keys_of_before_are_answered(client: httpx.AsyncClient, database: Database) -> None:
    """A key whose body and answer were not kept belongs to its order as ever, and gets the payment as it stands."""
    order_id = new_order_id()
    payment = (await ask(client, intent(order_id))).json()
    await database.fetch(OLD_KEY, "old", order_id, database.now)
    for _ in range(2):
        again = await ask(client, intent(order_id, idempotencyKey="old", amount=1))
        assert (again.status_code, again.json()) == (201, payment)
    assert (await ask(client, intent(new_order_id(), idempotencyKey="old"))).status_code == 422


@pytest.mark.parametrize(("amount", "currency"), [(99, "USD"), (0, "USD"), ("12.50", "JPY"), ("12.50", "EUR")])
async def test_the_orders_amount_counts(
    client: httpx.AsyncClient, desk: PaymentDesk, amount: object, currency: str
) -> None:
    """A client that claims another amount or currency, before its order or after, is charged what the order says."""
    early, late = new_order_id(), new_order_id()
    await ask(client, intent(early, amount=amount, currency=currency))
    await desk.hear(placed(early), placed(late))
    await ask(client, intent(late, amount=amount, currency=currency))
    await desk.settle()
    for order_id in (early, late):
        payment = await desk.payment(order_id)
        assert (payment["amount_minor"], payment["currency"], payment["status"]) == (1250, "USD", "AUTHORIZED")
        assert desk.held_minor(order_id) == 1250
