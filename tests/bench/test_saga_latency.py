"""`ecom bench saga-latency`: a short cut at two low rates."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Command


async def test_every_order_that_arrives_is_seen_confirmed(ecom: Command) -> None:
    """Each rate has its orders, all confirmed; the recorded moment lies between the answer and what was seen."""
    code, out, err = await ecom.run(
        *("bench", "saga-latency", "--rate", "10", "--rate", "20", "--seconds", "2", "--json")
    )
    assert code == 0, err
    report = json.loads(out.splitlines()[-1])
    assert [each["orders"] for each in report["rates"]] == [20, 40]
    for each in report["rates"]:
        assert each["bench"] == "saga-latency"
        assert each["states"] == {"CONFIRMED": each["orders"]}
        assert (each["failed"], each["first_failure"]) == (0, "")
        assert (
            0 < each["answered_p50_ms"] < each["recorded_p50_ms"] < each["p50_ms"] <= each["p95_ms"] <= each["p99_ms"]
        )
        assert each["floor_p50_ms"] == pytest.approx(
            5 * each["floor_commit_p50_ms"] + 2 * each["floor_message_p50_ms"] + 2 * each["floor_call_p50_ms"], abs=0.1
        )
        assert 1 < each["ratio"] < 1_000  # many small transactions side by side, on whatever cores there are
