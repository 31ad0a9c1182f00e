"""Events in every order and batches in opposite orders: no money is left, nobody waits in a circle."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

import pytest

from dovecote.events import Event
from dovecote.sql import Sql
from ecom.provider.interface import Operation
from tests.payment.stories import PaymentDesk, confirmed, ends, new_order_id, placed

DEADLOCKS = Sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")


@pytest.mark.parametrize("method", ["card", "card-declined", "card-timeout", "card-capture-declined"])
async def test_every_order_of_events(desk: PaymentDesk, method: str) -> None:
    """Created, confirmed and the three ends in all 120 orders: no money is left, whatever came first (I6)."""
    stories: list[tuple[str, Sequence[Event]]] = []
    for permutation in itertools.permutations(range(5)):
        order_id = new_order_id()
        kinds: list[Event] = [placed(order_id, method), confirmed(order_id), *ends(order_id)]
        stories.append((order_id, [kinds[index] for index in permutation]))
    for turn in range(5):
        by_kind: dict[str, list[Event]] = {}
        for _, story in stories:
            by_kind.setdefault(story[turn].EVENT, []).append(story[turn])
        for batch in by_kind.values():
            await desk.hear(*batch)
        for operation in Operation:
            await desk.work(operation)
    await desk.settle()
    for order_id, story in stories:
        kinds_told = [event.EVENT for event in story]
        assert desk.held_minor(order_id) == 0, kinds_told
        assert await desk.stage(order_id) in ("VOIDED", "REFUNDED", "DECLINED", "ENDED"), kinds_told
        payment = await desk.payment(order_id)
        assert (payment["status"] != "PENDING", payment["settlement"] != "UNKNOWN") == (True, True)
        assert len(set(desk.book(order_id))) == len(desk.book(order_id)), kinds_told


async def test_opposite_batches_do_not_deadlock(desk: PaymentDesk) -> None:
    """Batches of created, ended and answered payments in opposite orders, at once: nobody waits in a circle (G15)."""
    before = await desk.database.fetchval(DEADLOCKS)
    orders = [new_order_id() for _ in range(40)]
    created = [placed(order_id) for order_id in orders]
    over = [ends(order_id)[1] for order_id in orders]
    lane = asyncio.Semaphore(1)  # the consumer has one lane; HTTP, workers and jobs have others

    async def claim(order_ids: Sequence[str]) -> None:
        async with lane:
            await desk.hear(*[created[orders.index(order_id)] for order_id in order_ids])

    await asyncio.gather(
        claim(orders),
        claim(orders[::-1]),
        *(desk.work(Operation.AUTHORIZE) for _ in range(3)),
        desk.hear(*over),
        desk.hear(*over[::-1]),
    )
    await desk.settle()
    assert await desk.database.fetchval(DEADLOCKS) == before
    assert sum(desk.held_minor(order_id) for order_id in orders) == 0
