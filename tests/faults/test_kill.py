"""`kill -9` of everything of ours in mid-demo, the provider excepted, and `ecom demo` once more on the same home."""

from __future__ import annotations

import pytest

from dovecote.testing import eventually
from ecom.local import Home
from tests.faults import books
from tests.faults.command import demo
from tests.faults.complaints import complaints
from tests.faults.processes import LAUNCHER, POSTGRES, PROVIDER, kill, kill_all, living
from tests.faults.servers import postgres

ORDERS = 250


async def killed_midway(home: Home, *, final: int) -> dict[str, str]:
    """Start a demo and kill everything of ours in its midst, the provider excepted; every order's status before."""
    before = await (await demo(home, ORDERS)).midway(final=final)
    killed = await kill_all(home, but=PROVIDER)
    assert set(killed.values()) == {LAUNCHER, "shop", "kafka", POSTGRES}
    provider = home.record(PROVIDER)
    assert provider is not None
    assert living(home) == {provider.pid: PROVIDER}
    return before


async def finished(home: Home, *, before: dict[str, str], count: int) -> None:
    """Run a demo to its good end, and compare what there is then with what was there before."""
    again = await (await demo(home, count)).ended(seconds=300)
    assert again.code == 0, again.err
    assert again.report["orders"] == again.report["final"] >= len(before) + count
    assert (again.report["audit"], again.report["findings"]) == ("clean", [])
    assert living(home) == {}
    async with books.opened(home):
        after = await books.orders(home)
        assert len(after) == again.report["orders"]
        assert set(after.values()) <= books.FINAL
        assert before.keys() <= after.keys()
        decided = {order: status for order, status in before.items() if status in books.FINAL - {"CONFIRMED"}}
        assert decided.items() <= after.items()
        assert {after[order] for order, status in before.items() if status == "CONFIRMED"} <= {"CONFIRMED", "CANCELLED"}
        assert await books.harm(home) == {}
    assert complaints(home) == []


@pytest.mark.timeout(900)
async def test_a_killed_shop_finishes_what_it_finds(own: Home) -> None:
    """No order that was stored before the kill is lost or left open, final ones stay as they were, the books agree."""
    before = await killed_midway(own, final=ORDERS // 4)
    await finished(own, before=before, count=ORDERS)


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_a_shop_killed_again_and_again_finishes_what_it_finds(own: Home) -> None:
    """The same after three kills, each in the midst of finishing what the one before left."""
    before: dict[str, str] = {}
    for _ in range(3):
        ended = sum(status in books.FINAL for status in before.values())
        before |= await killed_midway(own, final=ended + ORDERS // 3)
    await finished(own, before=before, count=50)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_shop_that_dies_with_its_database_comes_back(own: Home) -> None:
    """The launcher tries to start the shop until its database is back; customers wait, and no order is lost."""
    running = await demo(own, ORDERS)
    seen = await running.midway(final=ORDERS // 4)
    async with postgres(own) as server:
        shop = own.record("shop")
        assert shop is not None
        await server.kill()
        await kill([shop.pid])

        async def has_tried_in_vain() -> bool:
            record = own.record("shop")
            return record is not None and not record.pid

        await eventually(has_tried_in_vain, seconds=180, what="the shop was started without its database")
        await server.start_again()
        ended = await running.ended(seconds=300)
        assert ended.code == 0, ended.err
        assert ended.report["orders"] == ended.report["final"] == ORDERS
        assert (ended.report["audit"], ended.report["findings"]) == ("clean", [])
        assert seen.keys() <= (await books.orders(own)).keys()
        assert await books.harm(own) == {}
    assert living(own) == {}
