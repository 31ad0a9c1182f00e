"""`ecom bench footprint`: a short cut on the session's servers."""

from __future__ import annotations

import json

from tests.cli.conftest import Command


async def test_the_whole_shop_costs_a_small_multiple_of_its_libraries(ecom: Command) -> None:
    """The shop opens, takes an order and works; each process is held against an interpreter with libraries."""
    code, out, err = await ecom.run("bench", "footprint", "--orders", "200", "--seconds", "1", "--json")
    assert code == 0, err
    report = json.loads(out.splitlines()[-1])
    assert (report["bench"], report["own_servers"]) == ("footprint", False)
    assert 0 < report["floor_start_s"] < report["open_s"] < report["first_order_s"]
    assert 0 < report["floor_mb"] < report["pss_mb"] <= report["load_pss_mb"]
    assert 1 < report["ratio"] / report["processes"] < 4
    assert report["provider_pss_mb"] > 0
    assert (report["failed"], report["first_failure"]) == (0, "")
    assert report["load_per_s"] > 0
