"""Webhooks that come early, twice, for nobody or all at once, at two replicas: each counts once, and none is lost."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest

from dovecote.database import Database
from ecom.payment import service
from ecom.payment.course import provider_key
from ecom.payment.domain import Mode, Rules
from ecom.provider.interface import Operation, Request
from ecom.web.application import application
from tests import twins
from tests.payment.stories import PaymentDesk, ends, new_order_id, pending, placed
from tests.payment.test_webhook import WEBHOOKS, authorized, hook

MODES = {mode: {"APP_PAYMENT_PROVIDER_MODE": mode.value} for mode in Mode}


@pytest.fixture(params=Mode)
async def replicas(
    request: pytest.FixtureRequest, desk: PaymentDesk, database: Database
) -> AsyncIterator[list[httpx.AsyncClient]]:
    """The service twice in one mode; its handlers and workers in the same."""
    desk.rules = Rules(mode=request.param)
    built = service.build(MODES[request.param])
    async with twins.another(database, schema=service.SCHEMA) as twin:
        apps = [application([(built, each)], name="payment-service") for each in (database, twin)]
        clients = [
            httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://shop")  # type: ignore[arg-type]
            for app in apps
        ]
        yield clients
        for client in clients:
            await client.aclose()


async def at_the_provider(desk: PaymentDesk, order_id: str) -> str:
    """Hold the money as the provider does when it is asked, and have its name for it before anybody has noted it."""
    key = provider_key(Operation.AUTHORIZE, order_id)
    asked = [Request(key, order_id, 1250, "USD", "card")]
    ((_, answer),) = [pair async for pair in desk.provider.authorize(asked)]
    assert answer.provider_id is not None
    return answer.provider_id


async def test_a_webhook_before_our_own_commit(client: httpx.AsyncClient, desk: PaymentDesk) -> None:
    """The provider speaks of a payment by a name that we have not noted yet: refused, forgotten, and taken later."""
    order_id, _ = await pending(client, desk)
    body = authorized(await at_the_provider(desk, order_id))
    early = await hook(client, body)
    assert (early.status_code, early.json()["code"]) == (400, "PAYMENT_UNKNOWN")
    assert int(early.headers["Retry-After"]) > 0
    assert await desk.database.fetchval(WEBHOOKS) == 0
    await desk.work(Operation.AUTHORIZE)
    assert (await hook(client, body)).json() == {"status": "already_processed"}
    assert await desk.events(order_id) == ["authorized"]


@pytest.mark.parametrize("kind", ["payment.authorized", "payment.failed"])
async def test_the_providers_name_is_noted_after_a_webhook(
    client: httpx.AsyncClient, desk: PaymentDesk, kind: str
) -> None:
    """A webhook by our name decides while our own question is under way: its answer still tells us the provider's."""
    order_id, payment = await pending(client, desk)
    name = await at_the_provider(desk, order_id)
    assert (await hook(client, authorized(payment["paymentId"], kind=kind))).json() == {"status": "processed"}
    await desk.settle()
    assert (await desk.payment(order_id))["provider_payment_id"] == name
    assert (await hook(client, authorized(name, kind=kind))).json() == {"status": "already_processed"}


async def test_captured_before_authorized(replicas: list[httpx.AsyncClient], desk: PaymentDesk) -> None:
    """Words that decide nothing here are accepted and ignored, whenever they come: authorized still counts."""
    order_id, payment = await pending(replicas[0], desk)
    for kind in ("payment.captured", "payment.refunded", "order.paid"):
        assert (await hook(replicas[1], authorized(payment["paymentId"], kind=kind))).json() == {"status": "ignored"}
    assert (await hook(replicas[1], authorized(payment["paymentId"]))).json() == {"status": "processed"}
    assert (await hook(replicas[0], authorized(payment["paymentId"], kind="payment.captured"))).status_code == 200
    assert await desk.events(order_id) == ["authorized"]


@pytest.mark.parametrize("kind", ["payment.authorized", "payment.failed"])
async def test_one_id_is_told_once(replicas: list[httpx.AsyncClient], desk: PaymentDesk, kind: str) -> None:
    """What comes again under its id is a repetition, even where it says the opposite: the first word stands."""
    order_id, payment = await pending(replicas[0], desk)
    other = "payment.failed" if kind == "payment.authorized" else "payment.authorized"
    body = authorized(payment["paymentId"], "evt_1", kind)
    assert (await hook(replicas[0], body)).json() == {"status": "processed"}
    for client in replicas:
        assert (await hook(client, {**body, "eventType": other})).json() == {"status": "already_processed"}
    assert await desk.events(order_id) == [kind.split(".")[1]]


@pytest.mark.parametrize("end", range(3))
async def test_a_yes_after_the_end(replicas: list[httpx.AsyncClient], desk: PaymentDesk, end: int) -> None:
    """The order is over when the provider's yes comes: ignored, never announced, and the money is let go."""
    order_id, payment = await pending(replicas[0], desk)
    await at_the_provider(desk, order_id)
    await desk.hear(ends(order_id)[end])
    for client in replicas:
        answer = (await hook(client, authorized(payment["paymentId"]))).json()
        assert answer == {"status": "ignored"}
    await desk.settle()
    assert await desk.events(order_id) == []
    assert desk.held_minor(order_id) == 0


@pytest.mark.parametrize("seed", range(4))
async def test_storms(replicas: list[httpx.AsyncClient], desk: PaymentDesk, seed: int) -> None:
    """Yes and no, each under few ids and by both names, at once with orders' beginnings, ends and our own questions.

    Senders repeat what is refused until it is taken. One word of each order decides, nobody is told twice, and what an
    order that is over or was refused had held is let go.
    """
    dice = random.Random(seed)
    orders = [new_order_id() for _ in range(5)]
    ours = {order_id: (await pending_intent(replicas[0], order_id)) for order_id in orders}
    theirs = {order_id: await at_the_provider(desk, order_id) for order_id in orders}
    if desk.rules.mode is Mode.WEBHOOK:
        theirs = ours  # we do not ask, and so are not told another name
    over = dice.sample(orders, 2)
    words = [
        (order_id, kind, dice.choice((ours, theirs))[order_id], f"evt_{order_id}_{kind}_{dice.randrange(2)}")
        for order_id in orders
        for kind in ("payment.authorized", "payment.failed", "payment.captured")
        for _ in range(4)
    ]
    dice.shuffle(words)
    statuses: dict[str, Counter[str]] = {order_id: Counter() for order_id in orders}

    async def say(order_id: str, kind: str, reference: str, event_id: str) -> bool:
        answer = await hook(dice.choice(replicas), authorized(reference, event_id, kind))
        assert answer.status_code in (200, 400)
        if answer.status_code == 200:
            statuses[order_id][answer.json()["status"]] += 1
        return answer.status_code == 200

    early = await asyncio.gather(*(say(*word) for word in words[:20]))
    assert [word for word, taken in zip(words, early, strict=False) if taken and word[1] != "payment.captured"] == []
    later, _, _, _ = await asyncio.gather(
        asyncio.gather(*(say(*word) for word in words)),
        desk.hear(*(placed(order_id) for order_id in orders)),
        desk.work(Operation.AUTHORIZE),
        desk.hear(*(ends(order_id)[0] for order_id in over)),
    )
    await desk.settle()
    refused = [word for word, taken in zip(words, later, strict=True) if not taken]
    assert all(await asyncio.gather(*(say(*word) for word in refused)))
    await desk.settle()
    for order_id in orders:
        stage, events = await desk.stage(order_id), await desk.events(order_id)
        assert statuses[order_id]["processed"] <= 1
        assert len(events) <= 1
        assert desk.held_minor(order_id) == (1250 if stage == "AUTHORIZED" else 0), (stage, events)
        assert (stage == "AUTHORIZED") <= (order_id not in over)
        assert desk.book(order_id).count("authorize") == 1
    assert await desk.database.fetchval(WEBHOOKS) == len({event_id for _, _, _, event_id in words})


async def pending_intent(client: httpx.AsyncClient, order_id: str) -> str:
    """A payment that its order has not reached yet, by our name for it."""
    body = {"orderId": order_id, "userId": 7, "amount": 12.5, "currency": "USD", "idempotencyKey": order_id}
    return str((await client.post("/api/payments/intents", json=body)).json()["paymentId"])
