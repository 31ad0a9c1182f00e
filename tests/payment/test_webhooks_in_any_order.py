"""Webhooks in every order beside an order's own events, in both modes: one answer counts, and no money is left."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
import pytest

from ecom.payment.domain import Mode, Rules
from ecom.provider.interface import Operation, Request
from tests.payment.stories import PaymentDesk, confirmed, ends, intent, new_order_id, placed
from tests.payment.test_webhook import authorized, hook

ACTS = ("created", "authorized", "failed", "again", "ended")


@dataclass
class Play:
    """Many orders at once, each with the same acts in another order, a turn of all of them at a time."""

    client: httpx.AsyncClient
    desk: PaymentDesk
    stories: dict[str, Sequence[str]]
    references: dict[str, str] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)

    async def run(self) -> None:
        """From a client's intent to the last word; webhooks that are refused are sent again, as senders do."""
        for order_id in self.stories:
            answer = await self.client.post("/api/payments/intents", json=intent(order_id))
            self.references[order_id] = answer.json()["paymentId"]
        if self.desk.rules.mode is Mode.WEBHOOK:
            checkouts = [Request(f"checkout:{each}", each, 1250, "USD", "card") for each in self.stories]
            async for _ in self.desk.provider.authorize(checkouts):
                pass
        for acts in zip(*self.stories.values(), strict=True):
            turn = list(zip(self.stories, acts, strict=True))
            if created := [placed(order_id, "card-timeout") for order_id, act in turn if act == "created"]:
                await self.desk.hear(*created)
                await self.desk.work(Operation.AUTHORIZE)
            if over := [ends(order_id)[1] for order_id, act in turn if act == "ended"]:
                await self.desk.hear(*over)
            for order_id, act in turn:
                if act not in ("created", "ended") and not await self.hook(order_id, act):
                    self.refused.append((order_id, act))
        assert [each for each in self.refused if not await self.hook(*each)] == []

    async def hook(self, order_id: str, act: str) -> bool:
        """Send a webhook; "again" repeats "authorized" to the letter."""
        kind = "payment.failed" if act == "failed" else "payment.authorized"
        body = authorized(self.references[order_id], f"evt_{order_id}_{kind}", kind)
        return (await hook(self.client, body)).status_code == 200


@pytest.mark.parametrize("mode", Mode)
async def test_webhooks_in_every_order(client: httpx.AsyncClient, desk: PaymentDesk, mode: Mode) -> None:
    """Two words of the provider, one of them twice, among beginning and end: nothing is held at the end (G12, I6).

    However they come, at most one of payment.authorized and payment.failed is said.
    """
    desk.rules = Rules(mode=mode)
    play = Play(client, desk, {new_order_id(): story for story in itertools.permutations(ACTS)})
    await play.run()
    assert play.refused
    await desk.settle(rounds=20)
    for order_id, story in play.stories.items():
        assert desk.held_minor(order_id) == 0, story
        assert await desk.stage(order_id) in ("VOIDED", "DECLINED", "ENDED"), story
        assert len(await desk.events(order_id)) <= 1, story
        assert desk.book(order_id).count("authorize") <= 1, story


@pytest.mark.parametrize("mode", Mode)
async def test_a_sale_whatever_the_webhooks(client: httpx.AsyncClient, desk: PaymentDesk, mode: Mode) -> None:
    """The provider's yes, told twice and at any moment of a sale: announced once and taken once."""
    desk.rules = Rules(mode=mode)
    acts = ("created", "authorized", "again")
    play = Play(client, desk, {new_order_id(): story for story in itertools.permutations(acts)})
    await play.run()
    await desk.work(Operation.AUTHORIZE)
    await desk.hear(*(confirmed(order_id) for order_id in play.stories))
    await desk.settle()
    for order_id, story in play.stories.items():
        assert await desk.events(order_id) == ["authorized", "captured"], story
        assert desk.book(order_id) == ["authorize", "capture"], story
