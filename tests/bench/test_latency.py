"""`ecom bench latency`: a short cut, with the leader in the writer's process and in another."""

from __future__ import annotations

import json

from tests.cli.conftest import Command

# On a quiet machine it is two to three times the broker's own.
RATIO_MAX = 40


async def test_every_commit_is_received_wherever_the_leader_is(ecom: Command) -> None:
    """Nothing is missing at a small rate, and the outbox costs a bounded multiple of producing without one."""
    code, out, err = await ecom.run(*("bench", "latency", "--rate", "100", "--seconds", "1.5", "--idle", "2", "--json"))
    assert code == 0, err
    report = json.loads(out.splitlines()[-1])
    (each,) = report["rates"]
    assert each["rate"] == 100
    for way in ("floor", "here", "apart"):
        assert each[way]["missing"] == 0
        assert each[way]["p50_ms"] <= each[way]["p95_ms"] <= each[way]["p99_ms"]
        assert each[way]["from_call_p50_ms"] >= each[way]["p50_ms"]
    assert each["ratio"] < RATIO_MAX
    assert report["p99_ms"] == each["here"]["p99_ms"]
    assert report["floor_per_s"] > 0
    assert report["idle_queries_per_s"] > 0
