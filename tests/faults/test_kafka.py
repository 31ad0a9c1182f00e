"""Kafka away in mid-demo: orders are still taken, time out where nobody can answer them, and all else waits."""

from __future__ import annotations

import pytest

from dovecote.testing import eventually
from ecom.local import Home
from tests.faults import books
from tests.faults.command import demo
from tests.faults.complaints import complaints
from tests.faults.processes import living, watched
from tests.faults.servers import kafka

OLDEST_UNSENT = """
    SELECT extract(epoch FROM now() - min(created_at)) AS seconds
      FROM order_service.outbox_event_record WHERE status = 'PENDING'
"""


async def unsent_for(home: Home, seconds: float) -> None:
    """Wait until the first event that could not leave has waited so long: as long as the broker is away."""

    async def has_waited() -> bool:
        return float((await books.ask(home, OLDEST_UNSENT))[0]["seconds"] or 0) >= seconds

    await eventually(has_waited, seconds=seconds + 180, every=0.2, what=f"an event is unsent for {seconds} s")


async def outage(home: Home, *, orders: int, final: int, seconds: float, is_crash: bool) -> None:
    """A demo whose broker goes away when so many orders are final and comes back after so long."""
    running = await demo(home, orders)
    seen = await running.midway(final=final)
    async with watched(home, "shop") as shop, kafka(home) as broker:
        await (broker.kill() if is_crash else broker.stop())
        await unsent_for(home, seconds)
        seen |= await books.orders(home)
        assert await books.harm(home) == {}
        await broker.start_again()

        ended = await running.ended(seconds=300)
        assert ended.code == 0, ended.err
        assert ended.report["orders"] == ended.report["final"] == orders
        assert (ended.report["audit"], ended.report["findings"]) == ("clean", [])
        assert len(shop) == 1
    async with books.opened(home):
        assert seen.keys() <= (await books.orders(home)).keys()
        assert await books.harm(home) == {}
    assert complaints(home) == []
    assert living(home) == {}


@pytest.mark.timeout(900)
async def test_a_broker_that_stops_for_a_while_costs_no_event(own: Home) -> None:
    """O10: twelve seconds, longer than the demo's payment timeout: no dead letter, no FAILED record, no order lost."""
    await outage(own, orders=250, final=50, seconds=12, is_crash=False)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("final", "is_crash"), [(200, False), (950, True)], ids=["early, stopped", "late, killed"])
async def test_a_broker_that_is_away_for_a_minute_costs_no_event(own: Home, *, final: int, is_crash: bool) -> None:
    """O10, F9: a minute: after a polite stop while orders come in, and after `kill -9` when nearly all are placed."""
    await outage(own, orders=1000, final=final, seconds=60, is_crash=is_crash)
