"""Talking to the provider: silences, look ups, dead letters, the outage switch."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from dovecote.database import Database
from dovecote.events import Cause
from dovecote.schedule import JobContext
from dovecote.sql import Sql
from ecom.payment import calls_store, course, jobs, telemetry
from ecom.payment.course import Message
from ecom.payment.domain import Mode, News, Rules
from ecom.payment.stages import Fact
from ecom.provider.interface import Operation, Request
from tests.payment.stories import PaymentDesk, confirmed, ends, new_order_id, placed
from tests.provider.processes import ProviderProcess

ATTEMPTS = Sql("SELECT attempts FROM intent WHERE key = $1")
ROWS = Sql("SELECT count(*) FROM payment")
AGE_TOMBSTONES = Sql("UPDATE payment SET updated_at = updated_at - interval '40 days'")


async def test_a_provider_that_is_away(database: Database, tmp_path: Path) -> None:
    """Asked in vain: UNKNOWN, no event, a dead letter after max-attempts; back again, everything goes on (G8)."""
    process = ProviderProcess(tmp_path).start()
    process.kill()
    desk = PaymentDesk(database, process, rules=Rules(attempts_max=3))
    order_id = new_order_id()
    await desk.hear(placed(order_id))
    for attempt in range(1, 5):
        assert await desk.work(Operation.AUTHORIZE) == 1
        letters = await calls_store.dead_letters(database)
        assert len(letters) == (1 if attempt >= 3 else 0)
    assert (letters[0].status, letters[0].attempts, letters[0].failure_reason) == ("PENDING", 4, "UNREACHABLE")
    payment = await desk.payment(order_id)
    assert (payment["status"], payment["settlement"]) == ("PENDING", "UNKNOWN")
    assert await desk.events(order_id) == []
    process.start()
    await desk.settle()
    assert await desk.events(order_id) == ["authorized"]
    (letter,) = await calls_store.dead_letters(database)
    assert (letter.status, letter.requeued_payment_id) == ("REQUEUED", payment["payment_id"])
    assert letter.resolved_at is not None
    process.stop()


async def test_crash_after_the_call(desk: PaymentDesk) -> None:
    """The provider answered and we died before recording it: asked again, nothing is charged twice (G7)."""
    order_id = new_order_id()
    await desk.hear(placed(order_id))
    before = desk.database.transaction

    def dies(lane: str = "api") -> object:
        if lane == "work" and desk.book(order_id):
            raise ConnectionError("killed")
        return before(lane)

    desk.database.transaction = dies  # type: ignore[method-assign, assignment]
    with pytest.raises(ConnectionError):
        await desk.work(Operation.AUTHORIZE)
    desk.database.transaction = before  # type: ignore[method-assign]
    assert desk.book(order_id) == ["authorize"]
    assert await desk.events(order_id) == []
    await desk.settle()
    assert desk.book(order_id) == ["authorize"]
    assert await desk.events(order_id) == ["authorized"]
    assert await desk.database.fetchval(ATTEMPTS, f"authorize:{order_id}") == 2


async def test_a_void_that_overtakes_the_authorization(desk: PaymentDesk) -> None:
    """A webhook was ahead of our own call, and the order is over: a void that finds nothing yet is asked again."""
    order_id = new_order_id()
    await desk.hear(placed(order_id))
    async with desk.database.transaction() as tx:
        await course.move(tx, [Message(order_id, News(Fact.AUTHORIZED), Cause("0" * 32))], desk.rules)
    await desk.hear(ends(order_id)[0])
    for _ in range(5):
        await desk.work(Operation.VOID)
    assert (await desk.payment(order_id))["settlement"] == "UNKNOWN"
    await desk.work(Operation.AUTHORIZE)
    assert desk.held_minor(order_id) == 1250
    await desk.settle()
    assert await desk.stage(order_id) == "VOIDED"
    assert desk.held_minor(order_id) == 0


async def test_a_void_of_what_the_provider_never_had(desk: PaymentDesk) -> None:
    """Where nobody but a webhook spoke of a hold, there is nothing to let go: asked thrice, then VOIDED."""
    desk.rules = Rules(mode=Mode.WEBHOOK)
    order_id = new_order_id()
    await desk.hear(placed(order_id))
    async with desk.database.transaction() as tx:
        await course.move(tx, [Message(order_id, News(Fact.AUTHORIZED), Cause("0" * 32))], desk.rules)
    await desk.hear(ends(order_id)[0])
    stages = []
    for _ in range(3):
        await desk.work(Operation.VOID)
        stages.append(await desk.stage(order_id))
    assert stages == ["VOIDING", "VOIDING", "VOIDED"]


async def test_outage_mode(desk: PaymentDesk) -> None:
    """Switched off, the provider is not called; what waits stays UNKNOWN; switched on again, it goes on."""
    order_id = new_order_id()
    desk.switch.bind(desk.database)
    await desk.switch.set(outage=True)
    await desk.hear(placed(order_id))
    await desk.work(Operation.AUTHORIZE)
    assert desk.book(order_id) == []
    assert (await desk.payment(order_id))["settlement"] == "UNKNOWN"
    await desk.switch.set(outage=False)
    await desk.settle()
    assert await desk.events(order_id) == ["authorized"]


async def test_the_switch_outlives_its_database(desk: PaymentDesk) -> None:
    """While the database restarts, what was switched before still holds: no call fails for it."""
    desk.switch.bind(desk.database)
    await desk.switch.set(outage=True)
    await desk.database.close()
    desk.switch._read_at = None
    assert await desk.switch.outage() is True


async def test_failures_on_purpose(desk: PaymentDesk) -> None:
    """failure-rate fails a share of the calls, the same ones in every run, and none of them is lost."""
    desk.failure_rate = 0.5
    orders = [new_order_id() for _ in range(40)]
    await desk.hear(*[placed(order_id) for order_id in orders])
    await desk.work(Operation.AUTHORIZE)
    silent = [order_id for order_id in orders if (await desk.payment(order_id))["settlement"] == "UNKNOWN"]
    assert 5 < len(silent) < 35
    await desk.settle(rounds=40)
    assert all(desk.book(order_id) == ["authorize"] for order_id in orders)


async def test_reconcile_by_look_up(desk: PaymentDesk) -> None:
    """The job finds what the provider did in silence, without asking for anything; the intent then agrees."""
    authorized, captured, voided = (new_order_id() for _ in range(3))
    await desk.hear(placed(authorized, "card-timeout"))
    await desk.hear(placed(captured, "card-capture-timeout"), placed(voided, "card-void-timeout"))
    await desk.work(Operation.AUTHORIZE)
    await desk.hear(confirmed(captured))
    await desk.hear(ends(voided)[0])
    await desk.work(Operation.CAPTURE)
    await desk.work(Operation.VOID)
    assert [(await desk.payment(each))["settlement"] for each in (authorized, captured, voided)] == ["UNKNOWN"] * 3
    await desk.reconcile()
    settlements = [(await desk.payment(each))["settlement"] for each in (authorized, captured, voided)]
    assert settlements == ["NONE", "CAPTURED", "VOIDED"]
    await desk.settle()
    assert await desk.events(authorized) == ["authorized"]
    assert await desk.events(captured) == ["authorized", "captured"]
    assert desk.book(voided) == ["authorize", "void"]


async def test_reconcile_finds_a_lost_webhook(desk: PaymentDesk) -> None:
    """Webhook mode: nobody asks for the authorization, and a look up finds it where the webhook was lost (G12)."""
    desk.rules = Rules(mode=Mode.WEBHOOK)
    order_id, other = new_order_id(), new_order_id()
    await desk.hear(placed(order_id), placed(other))
    assert await desk.open_intents() == []
    desk.rules = Rules()
    await desk.reconcile()
    assert await desk.stage(order_id) == "AUTHORIZING"
    desk.rules = Rules(mode=Mode.WEBHOOK)
    checkout = PaymentDesk(desk.database, desk.process)
    async for _ in checkout.provider.authorize([_checkout(order_id)]):
        pass
    await desk.reconcile()
    assert await desk.events(order_id) == ["authorized"]
    assert await desk.stage(other) == "AUTHORIZING"


async def test_a_checkout_of_another_amount_is_left_to_people(desk: PaymentDesk) -> None:
    """The customer paid 9.99 for an order of 12.50: not announced, UNKNOWN, counted each time it is seen (G11)."""
    desk.rules = Rules(mode=Mode.WEBHOOK)
    order_id = new_order_id()
    await desk.hear(placed(order_id))
    async for _ in desk.provider.authorize([_checkout(order_id, 999)]):
        pass
    seen_before = _looks("LEAVE_TO_PEOPLE")
    await desk.reconcile()
    assert await desk.events(order_id) == []
    payment = await desk.payment(order_id)
    assert (payment["stage"], payment["settlement"]) == ("AUTHORIZING", "UNKNOWN")
    assert _looks("LEAVE_TO_PEOPLE") == seen_before + 1


async def test_a_capture_of_another_amount_is_left_to_people(desk: PaymentDesk) -> None:
    """A webhook cannot say how much is held; the capture finds out: a dead letter that names it, nothing taken."""
    desk.rules = Rules(mode=Mode.WEBHOOK)
    order_id = new_order_id()
    await desk.hear(placed(order_id))
    async for _ in desk.provider.authorize([_checkout(order_id, 999)]):
        pass
    async with desk.database.transaction() as tx:
        await course.move(tx, [Message(order_id, News(Fact.AUTHORIZED), Cause("0" * 32))], desk.rules)
    await desk.hear(confirmed(order_id))
    for _ in range(3):
        await desk.work(Operation.CAPTURE)
    (letter,) = await calls_store.dead_letters(desk.database)
    assert (letter.order_id, letter.status, letter.failure_reason) == (order_id, "PENDING", "AMOUNT_MISMATCH")
    assert (await desk.payment(order_id))["settlement"] == "UNKNOWN"
    assert "capture" not in desk.book(order_id)


async def test_the_oldest_question_is_watched(desk: PaymentDesk) -> None:
    """A gauge says how long the longest question is open; 0 where none is."""
    context = JobContext(desk.database, _no_lag)
    await jobs.watch(context)
    assert telemetry.OLDEST_UNKNOWN._value.get() == 0
    order_id = new_order_id()
    await desk.hear(placed(order_id, "card-timeout"))
    await desk.work(Operation.AUTHORIZE)
    await jobs.watch(context)
    assert telemetry.OLDEST_UNKNOWN._value.get() > 0


async def test_tombstones_are_forgotten(desk: PaymentDesk) -> None:
    """The memory of an order that never came is deleted once nothing can repeat it; payments stay for ever."""
    never, ended = new_order_id(), new_order_id()
    await desk.hear(ends(never)[0], ends(ended)[0])
    await desk.hear(placed(ended))
    context = JobContext(desk.database, _no_lag)
    await jobs.forget(context, timedelta(days=31))
    assert await desk.database.fetchval(ROWS) == 2
    await desk.database.fetch(AGE_TOMBSTONES)
    await jobs.forget(context, timedelta(days=31))
    assert await desk.database.fetchval(ROWS) == 1


def _looks(outcome: str) -> float:
    """How often people were told of an outcome."""
    return telemetry.REMARKABLE.labels(outcome)._value.get()


async def _no_lag() -> int:
    return 0


def _checkout(order_id: str, amount_minor: int = 1250) -> Request:
    """What a checkout page asks of the provider, outside of our service."""
    return Request(f"checkout:{order_id}", order_id, amount_minor, "USD", "card")
