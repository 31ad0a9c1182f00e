"""The clock's work of the order service: every overdue order ends, what is past its time is forgotten."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dovecote.errors import SettingsError
from dovecote.schedule import JobContext
from dovecote.sql import Sql
from ecom.order import jobs, saga, service
from ecom.order.domain import PaymentWasAuthorized, Status
from tests.order.stories import OrderShop

AGE_KEYS = Sql("INSERT INTO idempotency_key VALUES ('old', '', 'ord_1', $1), ('new', '', 'ord_2', $2)")
AGE_FACTS = Sql("UPDATE foreign_fact SET recorded_at = recorded_at - interval '40 days' WHERE order_id = 'old'")
KEYS = Sql("SELECT key FROM idempotency_key")
FACTS = Sql("SELECT order_id FROM foreign_fact")
AGE_ORDERS = Sql("UPDATE orders SET created_at = created_at - $2::interval WHERE id = $1")
END_ORDER = Sql("UPDATE orders SET status = 'FAILED', reason = 'TEST' WHERE id = $1")
PENDING = Sql("SELECT count(*) FROM orders WHERE status = 'PAYMENT_PENDING'")


async def lag() -> int:
    """The group has handled everything."""
    return 0


@pytest.fixture
def context(shop: OrderShop) -> JobContext:
    """What the scheduler gives a job."""
    return JobContext(shop.database, lag)


async def test_a_burst_of_overdue_orders_ends_in_one_run(shop: OrderShop, context: JobContext) -> None:
    """More overdue orders than a sweep's limit, e.g. after an hour without a scheduler, all end in one turn."""
    await shop.place(saga.SWEEP_MAX * 2 + 1, timeout=timedelta(seconds=-1))
    await jobs.time_out(context)
    assert await shop.database.fetchval(PENDING) == 0


async def test_the_sweep_runs_every_second() -> None:
    """The timeout job has the interval that the contract asks for."""
    (sweep, *_) = jobs.jobs(facts_kept=timedelta(days=31), forget_every=timedelta(hours=6))
    assert (sweep.run, sweep.every) == (jobs.time_out, timedelta(seconds=1))


async def test_what_is_past_its_time_is_forgotten(shop: OrderShop, context: JobContext) -> None:
    """Old idempotency keys and foreign facts go, young ones stay."""
    await shop.hear(PaymentWasAuthorized(order_id="old"), PaymentWasAuthorized(order_id="new"))
    async with shop.database.transaction() as tx:
        await tx.execute(AGE_KEYS, tx.now - timedelta(days=8), tx.now)
        await tx.execute(AGE_FACTS)
    *_, forget = jobs.jobs(facts_kept=timedelta(days=31), forget_every=timedelta(hours=6))
    await forget.run(context)
    assert [row["key"] for row in await shop.database.fetch(KEYS)] == ["new"]
    assert [row["order_id"] for row in await shop.database.fetch(FACTS)] == ["new"]


async def test_gauges_are_measured(shop: OrderShop, context: JobContext) -> None:
    """The age of the oldest order without a verdict is there, and zero where all have one."""
    gauges = jobs.Gauges()
    (order,) = await shop.place(timeout=timedelta(seconds=-1))
    await shop.database.fetch(AGE_ORDERS, order.id, timedelta(hours=1))
    await gauges.measure(context)
    assert 3600 <= jobs.OLDEST_PENDING._value.get() < 3700
    await jobs.time_out(context)
    await gauges.measure(context)
    assert (await shop.order(order.id)).status is Status.TIMED_OUT
    assert (jobs.OLDEST_PENDING._value.get(), jobs.OUTBOX_FAILED._value.get()) == (0, 0)


async def test_the_oldest_is_looked_for_where_it_was_last_found(shop: OrderShop, context: JobContext) -> None:
    """Not from the beginning of time; an order that commits a little late is found all the same."""
    gauges = jobs.Gauges()
    (first,) = await shop.place(timeout=timedelta(minutes=10))
    await gauges.measure(context)
    for deadline, found in ((timedelta(minutes=9, seconds=50), True), (timedelta(minutes=9), False)):
        (late,) = await shop.place(timeout=deadline)
        await shop.database.fetch(AGE_ORDERS, late.id, timedelta(hours=1))
        await gauges.measure(context)
        assert (jobs.OLDEST_PENDING._value.get() >= 3600) is found
        await shop.database.fetch(END_ORDER, late.id)
    assert (await shop.order(first.id)).status is Status.PAYMENT_PENDING


@pytest.mark.parametrize(
    ("environ", "timeout"),
    [
        ({}, timedelta(minutes=15)),
        ({"APP_SAGA_PAYMENTTIMEOUTMINUTES": "2"}, timedelta(minutes=2)),
        ({"APP_SAGA_PAYMENTTIMEOUT": "PT4S"}, timedelta(seconds=4)),
        ({"ORDER__APP_SAGA_PAYMENTTIMEOUT": "PT5S", "APP_SAGA_PAYMENTTIMEOUT": "PT4S"}, timedelta(seconds=5)),
    ],
)
def test_the_timeout_is_configured(environ: dict[str, str], timeout: timedelta) -> None:
    """Minutes as in the original; a duration of ours overrides them, a service's own variable overrides both."""
    assert service.build(environ).blueprint.settings.app.saga.timeout == timeout


@pytest.mark.parametrize("wrong", [{"APP_SAGA_PAYMENTTIMEOUT": "PT0S"}, {"APP_SAGA_PAYMENTTIMEOUTMINUTES": "0"}])
def test_no_time_to_answer_is_refused(wrong: dict[str, str]) -> None:
    """A timeout that ends every order at once is a configuration error."""
    with pytest.raises(SettingsError):
        service.build(wrong)
