"""`ecom bench relay`: a short cut, and the gate that the relay keeps its part of the producer's rate."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Command

# On a quiet machine it is half; a busy one, a cold broker and a short run cost most of that.
RATIO_MIN = 0.03


async def test_what_was_committed_before_the_start_is_drained_in_order(ecom: Command) -> None:
    """All rows are SENT and in the topic, each aggregate's in order, at a fair part of the producer's rate."""
    code, out, err = await ecom.run("bench", "relay", "--rows", "20000", "--json")
    assert code == 0, err
    report = json.loads(out.splitlines()[-1])
    assert (report["rows"], report["missing"], report["out_of_order"]) == (20_000, 0, 0)
    assert report["ratio"] == pytest.approx(report["rate_per_s"] / report["floor_per_s"], abs=0.01)  # both are rounded
    assert report["ratio"] > RATIO_MIN
    assert report["settings"]["synchronous_commit"] == "on"


async def test_a_backlog_takes_no_more_memory(ecom: Command) -> None:
    """Three times the rows, and the process is hardly larger: what waits is in the database, not in memory."""
    code, out, err = await ecom.run("bench", "relay", "--rows", "5000", "--backlog", "15000", "--json")
    assert code == 0, err
    backlog = json.loads(out.splitlines()[-1])["backlog"]
    assert (backlog["rows"], backlog["missing"], backlog["out_of_order"]) == (15_000, 0, 0)
    assert backlog["rss_end_mb"] < 1.5 * backlog["rss_start_mb"]
