"""Placing, answering and timing out on the real PostgreSQL: what the rows say and what is told."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from dovecote.events import Event
from dovecote.sql import Sql
from ecom.contracts.payment import PaymentCaptured, PaymentRefunded
from ecom.order import saga
from ecom.order.domain import (
    Happening,
    PaymentHasFailed,
    PaymentWasAuthorized,
    Status,
    StockIsLacking,
    StockWasReserved,
)
from ecom.order.saga import Placement, Step
from tests.order.stories import OrderShop, new_order

TRANSITIONS = Sql("SELECT sequence, from_status, to_status FROM order_transition WHERE order_id = $1 ORDER BY sequence")
FOREIGN = Sql("SELECT order_id, event_type FROM foreign_fact ORDER BY event_type, order_id")
SETTLED = Sql("SELECT order_id, event_type, amount, currency FROM settlement_fact ORDER BY event_type, amount DESC")
COUNT_ORDERS = Sql("SELECT count(*) FROM orders")
CREATED, CONFIRMED = ("order.created.v1", 1), ("order.confirmed.v1", 2)


async def test_a_placed_order_and_its_event_are_one_act(shop: OrderShop) -> None:
    """The row and order.created agree about lines, total, address and number."""
    (order,) = await shop.place()
    assert await shop.order(order.id) == order
    assert await shop.said(order.id) == [CREATED]
    payload = await shop.payload(order.id, 1)
    assert payload["totalAmount"] == "19.80"
    assert payload["items"][0] == {"productId": "A", "sku": "A", "quantity": 2, "unitPrice": "7.45"}
    assert (payload["status"], payload["email"], payload["paymentMethod"]) == ("CREATED", "buyer@shop.example", "card")


@pytest.mark.parametrize("paid_first", [True, False])
async def test_an_order_confirms_when_both_have_answered(shop: OrderShop, paid_first: bool) -> None:  # noqa: FBT001
    """In whichever order payment and stock answer, the second answer confirms, once."""
    (order,) = await shop.place()
    answers: list[Event] = [PaymentWasAuthorized(order_id=order.id), StockWasReserved(order_id=order.id)]
    first, second = answers if paid_first else reversed(answers)
    await shop.hear(first)
    assert (await shop.order(order.id)).status is Status.PAYMENT_PENDING
    await shop.hear(second)
    await shop.hear(second)
    assert (await shop.order(order.id)).status is Status.CONFIRMED
    assert await shop.said(order.id) == [CREATED, CONFIRMED]
    rows = await shop.database.fetch(TRANSITIONS, order.id)
    assert [tuple(row.values()) for row in rows] == [(2, "PAYMENT_PENDING", "CONFIRMED")]


async def test_a_batch_moves_many_orders_and_one_of_them_once(shop: OrderShop) -> None:
    """A batch that names an order twice decides twice and tells once; its neighbours move too."""
    orders = await shop.place(20)
    await shop.hear(*(StockWasReserved(order_id=order.id) for order in orders))
    paid = [PaymentWasAuthorized(order_id=order.id) for order in reversed(orders)]
    await shop.hear(*paid, *paid)
    assert {(await shop.order(order.id)).status for order in orders} == {Status.CONFIRMED}
    assert [await shop.said(order.id) for order in orders] == [[CREATED, CONFIRMED]] * 20


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (PaymentHasFailed(order_id="?", reason="card declined"), "PAYMENT_DECLINED"),
        (PaymentHasFailed(order_id="?", reason="CAPTURE_DECLINED"), "CAPTURE_DECLINED"),
        (StockIsLacking(order_id="?", reason="OUT_OF_STOCK"), "OUT_OF_STOCK"),
        (StockIsLacking(order_id="?"), "OUT_OF_STOCK"),
        (StockIsLacking(order_id="?", reason="EXPIRED"), "EXPIRED"),
    ],
)
async def test_a_refusal_fails_a_pending_order(
    shop: OrderShop, event: PaymentHasFailed | StockIsLacking, reason: str
) -> None:
    """The order is FAILED with its reason, and order.cancelled makes the other participant give back."""
    (order,) = await shop.place()
    await shop.hear(type(event)(order_id=order.id, reason=event.reason))
    now = await shop.order(order.id)
    assert (now.status, now.reason) == (Status.FAILED, reason)
    assert await shop.said(order.id) == [CREATED, ("order.cancelled.v1", 2)]
    assert (await shop.payload(order.id, 2))["reason"] == reason


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (PaymentHasFailed(order_id="?", reason="CAPTURE_DECLINED"), "CAPTURE_DECLINED"),
        (StockIsLacking(order_id="?", reason="EXPIRED"), "EXPIRED"),
    ],
)
async def test_a_loss_cancels_a_confirmed_order(
    shop: OrderShop, event: PaymentHasFailed | StockIsLacking, reason: str
) -> None:
    """An order whose capture was declined or whose stock expired is CANCELLED and told as its third event."""
    (order,) = await shop.place()
    await shop.hear(PaymentWasAuthorized(order_id=order.id))
    await shop.hear(StockWasReserved(order_id=order.id))
    await shop.hear(type(event)(order_id=order.id, reason=event.reason))
    now = await shop.order(order.id)
    assert (now.status, now.reason) == (Status.CANCELLED, reason)
    assert await shop.said(order.id) == [CREATED, CONFIRMED, ("order.cancelled.v1", 3)]


async def test_facts_about_foreign_orders_are_recorded(shop: OrderShop) -> None:
    """What is said about an order that is not ours is kept; nothing is parked and our orders in the batch move."""
    (order,) = await shop.place()
    parked = await shop.hear(PaymentWasAuthorized(order_id="theirs"), PaymentWasAuthorized(order_id=order.id))
    parked |= await shop.hear(StockIsLacking(order_id="theirs"))
    parked |= await shop.hear(captured("theirs"))
    assert parked == {}
    assert [tuple(row.values()) for row in await shop.database.fetch(FOREIGN)] == [
        ("theirs", "inventory.reservation.failed.v1"),
        ("theirs", "payment.authorized.v1"),
        ("theirs", "payment.captured.v1"),
    ]
    await shop.hear(StockWasReserved(order_id=order.id))
    assert (await shop.order(order.id)).status is Status.CONFIRMED


async def test_settled_money_is_recorded_and_decides_nothing(shop: OrderShop) -> None:
    """payment.captured and payment.refunded are kept with their amounts."""
    (order,) = await shop.place()
    await shop.hear(captured(order.id), captured(order.id, "12.50"))
    refund = PaymentRefunded(
        order_id=order.id, payment_id="pay_1", amount=Decimal("12.50"), currency="EUR", occurred_at=shop.database.now
    )
    await shop.hear(refund)
    assert [(row["event_type"], row["amount"]) for row in await shop.database.fetch(SETTLED)] == [
        ("payment.captured.v1", Decimal("19.80")),
        ("payment.captured.v1", Decimal("12.50")),
        ("payment.refunded.v1", Decimal("12.50")),
    ]
    assert (await shop.order(order.id)).status is Status.PAYMENT_PENDING


async def test_the_sweep_ends_only_what_is_overdue(shop: OrderShop) -> None:
    """Orders past their deadline are TIMED_OUT whoever has answered; confirmed and young ones are left."""
    late, paid, confirmed = await shop.place(3, timeout=timedelta(seconds=-1))
    (young,) = await shop.place()
    await shop.hear(PaymentWasAuthorized(order_id=paid.id), PaymentWasAuthorized(order_id=confirmed.id))
    await shop.hear(StockWasReserved(order_id=confirmed.id))
    before = saga.TIMEOUTS._value.get()
    assert await saga.time_out_overdue(shop.database) == 2
    assert saga.TIMEOUTS._value.get() == before + 2
    assert await saga.time_out_overdue(shop.database) == 0
    statuses = [(await shop.order(order.id)).status for order in (late, paid, confirmed, young)]
    assert statuses == [Status.TIMED_OUT, Status.TIMED_OUT, Status.CONFIRMED, Status.PAYMENT_PENDING]
    assert await shop.said(late.id) == [CREATED, ("order.timed-out.v1", 2)]
    assert [row["trace_id"] for row in await shop.outbox(late.id)] == ["t" * 32] * 2


async def test_an_authorization_after_the_timeout_changes_nothing(shop: OrderShop) -> None:
    """The deadline won: the late answer is let pass, order.timed-out has told payment to give back."""
    (order,) = await shop.place(timeout=timedelta(seconds=-1))
    await saga.time_out_overdue(shop.database)
    await shop.hear(PaymentWasAuthorized(order_id=order.id))
    await shop.hear(StockWasReserved(order_id=order.id))
    assert (await shop.order(order.id)).status is Status.TIMED_OUT
    assert len(await shop.said(order.id)) == 2


async def test_answers_deadlines_and_cancels_race_without_a_deadlock(shop: OrderShop) -> None:
    """Batches that touch the same orders in opposite orders, a sweep and cancels at once: one winner for each order."""
    orders = await shop.place(60, timeout=timedelta(seconds=-1))
    ids = [order.id for order in orders]

    async def cancel(order_ids: list[str]) -> None:
        async with shop.database.transaction("work") as tx:
            await saga.advance(tx, [Step(order_id, Happening.CANCEL_ASKED) for order_id in order_ids])

    await asyncio.gather(
        shop.hear(*(PaymentWasAuthorized(order_id=order_id) for order_id in ids)),
        shop.hear(*(StockWasReserved(order_id=order_id) for order_id in reversed(ids)), lane="api"),
        saga.time_out_overdue(shop.database, lane="api"),
        cancel(ids[::-2]),
    )
    for order_id in ids:
        order, said = await shop.order(order_id), await shop.said(order_id)
        rows = await shop.database.fetch(TRANSITIONS, order_id)
        assert order.status is not Status.PAYMENT_PENDING
        assert [sequence for _, sequence in said] == list(range(1, len(said) + 1))
        assert [row["sequence"] for row in rows] == list(range(2, len(said) + 1))
        assert rows[-1]["to_status"] == order.status


async def test_a_repeated_placing_gets_the_first_answer(shop: OrderShop) -> None:
    """The answer to a repetition shows the order as it was placed, whatever became of it."""

    async def place() -> object:
        async with shop.database.transaction() as tx:
            (order,) = await saga.place_once(
                tx, [Placement(new_order(), "key", b"body")], payment_timeout=timedelta(seconds=-1), by_catalogue=False
            )
        return order

    first = await place()
    await saga.time_out_overdue(shop.database)
    assert await place() == first


def captured(order_id: str, amount: str = "19.80") -> PaymentCaptured:
    """Payment says that it took the money."""
    return PaymentCaptured(
        order_id=order_id, payment_id="pay_1", amount=Decimal(amount), currency="EUR", occurred_at=datetime.now(UTC)
    )
