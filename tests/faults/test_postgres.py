"""PostgreSQL restarted in mid-demo, politely and not; the shop's own processes live through it."""

from __future__ import annotations

import pytest

from ecom.local import Home
from tests.faults import books
from tests.faults.command import demo
from tests.faults.complaints import complaints
from tests.faults.processes import living, watched
from tests.faults.servers import kill_backends, postgres

ORDERS = 500


@pytest.mark.timeout(900)
async def test_a_restarted_database_costs_no_order_and_no_event(own: Home) -> None:
    """F4, rule 12: stop and start, `kill -9` of every backend, `kill -9` of the postmaster, each in mid-demo.

    Every order is there once and ends, no event becomes a dead letter or FAILED, the books agree, no process died.
    """
    running = await demo(own, ORDERS)
    seen = await running.midway(final=ORDERS // 10)
    async with watched(own, "shop") as shop, postgres(own) as server:
        await server.stop()
        await server.start_again()
        seen |= await running.midway(final=ORDERS * 4 // 10)
        assert await kill_backends(own, server) > 1
        seen |= await running.midway(final=ORDERS * 7 // 10)
        await server.kill()
        await server.start_again()

        ended = await running.ended(seconds=300)
        assert ended.code == 0, ended.err
        assert ended.report["orders"] == ended.report["final"] == ORDERS
        assert (ended.report["audit"], ended.report["findings"]) == ("clean", [])
        assert seen.keys() <= (await books.orders(own)).keys()
        assert await books.harm(own) == {}
        assert len(shop) == 1
    assert complaints(own) == []
    assert living(own) == {}
