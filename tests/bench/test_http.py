"""`ecom bench http`: a short cut, so that the figures can be repeated on any day."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Command


async def test_orders_are_placed_and_read_beside_their_floors(ecom: Command) -> None:
    """Every order asked for is placed, confirmed and read; placing and reading keep a part of their floors' rates."""
    code, out, err = await ecom.run("bench", "http", "--orders", "400", "--clients", "8", "--seconds", "5", "--json")
    assert code == 0, err
    report = json.loads(out.splitlines()[-1])
    assert (report["bench"], report["saga_behind"], report["clients"], report["lines"]) == ("http", True, 8, 2)
    assert (report["failed"], report["first_failure"]) == (0, "")
    assert report["orders"] == 400
    assert report["states"] == {"CONFIRMED": 800}  # as many again to warm up
    assert report["ratio"] == pytest.approx(report["rate_per_s"] / report["floor_per_s"], rel=0.05)
    assert 0 < report["p50_ms"] <= report["p95_ms"] <= report["p99_ms"]
    assert 0 < report["read_p50_ms"] <= report["read_p95_ms"] <= report["read_p99_ms"]
    # Sagas run behind the placings, so that this one is far below what placing alone keeps.
    assert report["ratio"] > 0.01
    assert report["read_ratio"] > 0.25


async def test_placing_alone_runs_no_saga(ecom: Command) -> None:
    """With the order service alone every order stays as it was placed, and the rate is a larger part of the floor."""
    code, out, err = await ecom.run(
        *("bench", "http", "--alone", "--orders", "400", "--clients", "8", "--seconds", "5", "--json")
    )
    assert code == 0, err
    report = json.loads(out.splitlines()[-1])
    assert report["states"] == {"PAYMENT_PENDING": 800}
    assert (report["failed"], report["final_meanwhile"]) == (0, 0)
    assert report["ratio"] > 0.05
