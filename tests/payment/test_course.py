"""Payments from order.created to their end: real PostgreSQL, a real provider process, and the provider's own book."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from dovecote.sql import Sql
from ecom.contracts.payment import CAPTURE_DECLINED
from ecom.payment.domain import CaptureOn, Rules
from ecom.payment.hearing import OrderPlaced, PricedLine
from ecom.provider.interface import Operation
from tests.payment.stories import PaymentDesk, confirmed, ends, new_order_id, placed

INTENT_TRACES = Sql("SELECT DISTINCT trace_id FROM intent")


async def test_a_sale(desk: PaymentDesk) -> None:
    """Created, authorized, confirmed, captured: two events, two lines in the book, the order's amount in both."""
    order_id = new_order_id()
    await desk.hear(placed(order_id))
    await desk.settle()
    await desk.hear(confirmed(order_id))
    await desk.settle()
    (_, authorized), (_, captured) = await desk.said(order_id)
    payment = await desk.payment(order_id)
    assert authorized["status"] == "AUTHORIZED"
    assert authorized["providerPaymentId"] == payment["provider_payment_id"]
    assert authorized["userId"] == 7
    assert authorized["amount"] == captured["amount"] == "12.50"
    assert authorized["paymentId"] == captured["paymentId"] == payment["payment_id"]
    assert (payment["status"], payment["settlement"]) == ("AUTHORIZED", "CAPTURED")
    assert desk.book(order_id) == ["authorize", "capture"]
    assert desk.held_minor(order_id) == 1250


async def test_a_declined_card(desk: PaymentDesk) -> None:
    """payment.failed on the provider's word, with its reason and a provider id."""
    order_id = new_order_id()
    await desk.hear(placed(order_id, "card-declined"))
    await desk.settle()
    ((name, failed),) = await desk.said(order_id)
    assert name == "payment.failed.v1"
    assert failed["reason"] == "CARD_DECLINED"
    assert failed["providerPaymentId"]
    assert (await desk.payment(order_id))["status"] == "FAILED"
    assert desk.held_minor(order_id) == 0


@pytest.mark.parametrize("end", range(3))
async def test_an_end_after_the_authorization_is_voided(desk: PaymentDesk, end: int) -> None:
    """Cancelled, timed out, out of stock: the hold is let go, whatever ended the order."""
    order_id = new_order_id()
    await desk.hear(placed(order_id))
    await desk.settle()
    await desk.hear(ends(order_id)[end])
    await desk.settle()
    assert (await desk.payment(order_id))["settlement"] == "VOIDED"
    assert desk.book(order_id) == ["authorize", "void"]


async def test_an_end_after_the_capture_is_refunded(desk: PaymentDesk) -> None:
    """A confirmed order that is cancelled gets its money back, and says so with the reason."""
    order_id = new_order_id()
    await desk.hear(placed(order_id))
    await desk.settle()
    await desk.hear(confirmed(order_id))
    await desk.settle()
    await desk.hear(ends(order_id)[0])
    await desk.settle()
    assert await desk.events(order_id) == ["authorized", "captured", "refunded"]
    assert (await desk.said(order_id))[-1][1]["reason"] == "CUSTOMER_CANCELLED"
    assert (await desk.payment(order_id))["settlement"] == "REFUNDED"
    assert desk.held_minor(order_id) == 0


@pytest.mark.parametrize("end", range(3))
async def test_an_end_before_the_beginning(desk: PaymentDesk, end: int) -> None:
    """The end of an order may overtake its beginning: then it is never charged (G2)."""
    order_id = new_order_id()
    await desk.hear(ends(order_id)[end])
    await desk.hear(placed(order_id))
    await desk.settle()
    assert await desk.events(order_id) == []
    assert desk.book(order_id) == []
    payment = await desk.payment(order_id)
    assert (payment["stage"], payment["status"], payment["amount_minor"]) == ("ENDED", "FAILED", 1250)


async def test_a_late_success_is_voided(desk: PaymentDesk) -> None:
    """The provider was silent, the order timed out, the provider had done it: voided, never announced (G3)."""
    order_id = new_order_id()
    await desk.hear(placed(order_id, "card-timeout"))
    await desk.work(Operation.AUTHORIZE)
    assert (await desk.payment(order_id))["settlement"] == "UNKNOWN"
    assert (await desk.payment(order_id))["status"] == "PENDING"
    await desk.hear(ends(order_id)[1])
    await desk.settle()
    payment = await desk.payment(order_id)
    assert (payment["status"], payment["settlement"]) == ("FAILED", "VOIDED")
    assert payment["failure_reason"] == "ORDER_TIMED_OUT"
    assert await desk.events(order_id) == []
    assert desk.book(order_id) == ["authorize", "void"]


async def test_a_silence_is_not_a_failure(desk: PaymentDesk) -> None:
    """Timed out after the work: UNKNOWN, looked up, then AUTHORIZED by one and the same authorization (G8)."""
    order_id = new_order_id()
    await desk.hear(placed(order_id, "card-timeout"))
    await desk.settle()
    assert await desk.events(order_id) == ["authorized"]
    assert desk.book(order_id) == ["authorize"]
    assert (await desk.payment(order_id))["settlement"] == "NONE"


async def test_unavailable_at_first(desk: PaymentDesk) -> None:
    """5xx answers are silences too: asked again with the same key until there is a word."""
    order_id = new_order_id()
    await desk.hear(placed(order_id, "card-unavailable"))
    await desk.work(Operation.AUTHORIZE)
    assert (await desk.payment(order_id))["settlement"] == "UNKNOWN"
    await desk.settle()
    assert await desk.events(order_id) == ["authorized"]
    assert desk.book(order_id) == ["authorize"]


async def test_capture_declined(desk: PaymentDesk) -> None:
    """payment.failed with CAPTURE_DECLINED, and nothing live at the provider (G24)."""
    order_id = new_order_id()
    await desk.hear(placed(order_id, "card-capture-declined"))
    await desk.settle()
    await desk.hear(confirmed(order_id))
    await desk.settle()
    await desk.hear(ends(order_id)[0])
    await desk.settle()
    assert await desk.events(order_id) == ["authorized", "failed"]
    assert (await desk.said(order_id))[-1][1]["reason"] == CAPTURE_DECLINED
    payment = await desk.payment(order_id)
    assert (payment["status"], payment["settlement"]) == ("FAILED", "VOIDED")
    assert desk.book(order_id) == ["authorize", "capture DECLINED", "void"]


async def test_an_end_while_the_capture_is_unknown(desk: PaymentDesk) -> None:
    """The capture was done in silence and the order ended meanwhile: captured, then refunded; never voided (G11)."""
    order_id = new_order_id()
    await desk.hear(placed(order_id, "card-capture-timeout"))
    await desk.settle()
    await desk.hear(confirmed(order_id))
    await desk.work(Operation.CAPTURE)
    await desk.hear(ends(order_id)[2])
    assert await desk.stage(order_id) == "CAPTURING_ENDED"
    await desk.settle()
    assert desk.book(order_id) == ["authorize", "capture", "refund"]
    assert await desk.events(order_id) == ["authorized", "captured", "refunded"]


@pytest.mark.parametrize("method", ["card-void-timeout", "card-void-unavailable"])
async def test_a_void_without_an_answer(desk: PaymentDesk, method: str) -> None:
    """A void is asked again until it is done, and done once (G10)."""
    order_id = new_order_id()
    await desk.hear(placed(order_id, method))
    await desk.settle()
    await desk.hear(ends(order_id)[0])
    await desk.work(Operation.VOID)
    assert (await desk.payment(order_id))["settlement"] == "UNKNOWN"
    await desk.settle()
    assert (await desk.payment(order_id))["settlement"] == "VOIDED"
    assert desk.book(order_id) == ["authorize", "void"]


async def test_told_twice(desk: PaymentDesk) -> None:
    """The same news in one batch, and again in the next: one payment, one authorization, one event.

    The same order with another amount is set aside for people (G11).
    """
    order_id = new_order_id()
    await desk.hear(placed(order_id), placed(order_id))
    assert desk.parked == []
    await desk.hear(placed(order_id, total="99.00"), placed(order_id, currency="EUR"))
    assert len(desk.parked) == 2
    assert "another amount or currency" in desk.parked[0]
    await desk.settle()
    await desk.hear(confirmed(order_id), confirmed(order_id))
    await desk.settle()
    assert await desk.events(order_id) == ["authorized", "captured"]
    assert desk.held_minor(order_id) == 1250


async def test_other_minor_units(desk: PaymentDesk) -> None:
    """Yen have no minor unit, dinars have a thousand: the provider counts them so, the events write them so."""
    yen, dinar = new_order_id(), new_order_id()
    await desk.hear(placed(yen, total="1250.00", currency="JPY"), placed(dinar, total="1.250", currency="KWD"))
    await desk.settle()
    assert desk.held_minor(yen) == 1250
    assert desk.held_minor(dinar) == 1250
    assert (await desk.said(yen))[0][1]["amount"] == "1250"
    assert (await desk.said(dinar))[0][1]["amount"] == "1.250"


async def test_foreign_order_without_total(desk: PaymentDesk) -> None:
    """The original's order.created has no total: its lines make it."""
    order_id = new_order_id()
    items = (PricedLine(3, Decimal("1.10")), PricedLine(1, Decimal(2)))
    await desk.hear(OrderPlaced(order_id=order_id, user_id=7, currency="USD", items=items))
    await desk.settle()
    assert desk.held_minor(order_id) == 530


async def test_an_amount_that_cannot_be_charged_is_set_aside(desk: PaymentDesk) -> None:
    """A foreign order of a negative total is parked by name; its neighbour in the batch is charged."""
    bad, good = new_order_id(), new_order_id()
    await desk.hear(placed(bad, total="-1"), placed(good))
    await desk.settle()
    assert len(desk.parked) == 1
    assert "cannot be charged" in desk.parked[0]
    assert await desk.events(good) == ["authorized"]


async def test_confirmed_without_a_payment_is_set_aside(desk: PaymentDesk) -> None:
    """order.confirmed can only follow our own payment.authorized: anything else is for people to look at."""
    never, pending = new_order_id(), new_order_id()
    await desk.hear(placed(pending))
    await desk.hear(confirmed(never), confirmed(pending))
    assert len(desk.parked) == 2
    await desk.settle()
    assert await desk.events(pending) == ["authorized"]


async def test_capture_on_authorization(desk: PaymentDesk) -> None:
    """app.payment.capture on-authorization: taken at once, without order.confirmed."""
    desk.rules = Rules(capture=CaptureOn.AUTHORIZATION)
    order_id = new_order_id()
    await desk.hear(placed(order_id))
    await desk.settle()
    assert await desk.events(order_id) == ["authorized", "captured"]


async def test_the_story_keeps_its_trace(desk: PaymentDesk) -> None:
    """Intents and events carry the trace id of the order that caused them."""
    order_id = new_order_id()
    await desk.hear(placed(order_id), trace_id="a" * 32)
    await desk.settle()
    assert [row["trace_id"] for row in await desk.database.fetch(INTENT_TRACES)] == ["a" * 32]


async def test_every_event_is_whole(desk: PaymentDesk) -> None:
    """What is said keeps its contract (tx.publish would have refused it) and has money as decimal strings."""
    order_id = new_order_id()
    await desk.hear(placed(order_id, total="5"))
    await desk.settle()
    ((_, payload),) = await desk.said(order_id)
    assert payload["amount"] == "5.00"
    assert msgspec.json.encode(payload)
