"""`ecom bench flash-sale`: a short cut that must sell exactly what there is."""

from __future__ import annotations

import json

from tests.cli.conftest import Command


async def test_every_unit_is_sold_once_and_the_rest_are_refused(ecom: Command) -> None:
    """By hand and as orders: all units, none twice, no error of ours, and only one reason for a refusal."""
    code, out, err = await ecom.run("bench", "flash-sale", "--units", "500", "--clients", "50", "--json")
    assert code == 0, err
    report = json.loads(out.splitlines()[-1])
    assert (report["bench"], report["units"], report["clients"]) == ("flash-sale", 500, 50)
    assert (report["sold"], report["available"], report["oversold"]) == (500, 0, 0)
    assert report["refused"] == {"400 NOT_ENOUGH": 100}
    assert (report["orders_sold"], report["orders_available"]) == (500, 0)
    assert (report["orders_refused"], report["orders_states"]) == ({}, {"CONFIRMED": 500, "FAILED": 100})
    assert (report["server_errors"], report["orders_server_errors"]) == (0, 0)
    assert 0 < report["p50_ms"] <= report["p95_ms"] <= report["p99_ms"]
    assert report["ratio"] > 0.05
