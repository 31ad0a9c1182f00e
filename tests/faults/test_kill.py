"""`kill -9` of everything of ours in mid-demo, the provider excepted, and `ecom demo` once more on the same home."""

from __future__ import annotations

import pytest

from ecom.local import Home
from tests.faults import books
from tests.faults.command import demo
from tests.faults.complaints import complaints
from tests.faults.processes import LAUNCHER, POSTGRES, PROVIDER, kill_all, living

ORDERS = 250


@pytest.mark.timeout(240)
async def test_a_killed_shop_finishes_what_it_finds(own: Home) -> None:
    """No order that was stored before the kill is lost or left open, final ones stay as they were, the books agree."""
    before = await (await demo(own, ORDERS)).midway(final=ORDERS // 4)
    killed = await kill_all(own, but=PROVIDER)
    assert set(killed.values()) == {LAUNCHER, "shop", "kafka", POSTGRES}
    provider = own.record(PROVIDER)
    assert provider is not None
    assert living(own) == {provider.pid: PROVIDER}

    again = await (await demo(own, ORDERS)).ended(seconds=150)
    assert again.code == 0, again.err
    assert again.report["orders"] == again.report["final"] >= len(before) + ORDERS
    assert (again.report["audit"], again.report["findings"]) == ("clean", [])
    assert living(own) == {}
    async with books.opened(own):
        after = await books.orders(own)
        assert len(after) == again.report["orders"]
        assert before.keys() <= after.keys()
        assert set(after.values()) <= books.FINAL
        decided = {order: status for order, status in before.items() if status in books.FINAL - {"CONFIRMED"}}
        assert decided.items() <= after.items()
        assert {after[order] for order, status in before.items() if status == "CONFIRMED"} <= {"CONFIRMED", "CANCELLED"}
        assert await books.harm(own) == {}
    assert complaints(own) == []
