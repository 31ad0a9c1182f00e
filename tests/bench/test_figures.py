"""`ecom bench saga|search|contracts`: a short cut of each, so that the figures can be repeated on any day."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import Command

FLOOR = "print('N=200 lines=2; confirmed 1000 orders/s')"


async def test_the_saga_in_bulk_ends_and_is_compared_with_its_floor(ecom: Command, tmp_path: Path) -> None:
    """Every order placed in bulk is final and settled; the ratio is to the rate that the floor printed."""
    floor = tmp_path / "floor.py"
    floor.write_text(FLOOR)
    code, out, err = await ecom.run("bench", "saga", "--orders", "200", "--floor", str(floor), "--json")
    assert code == 0, err
    report = json.loads(out.splitlines()[-1])
    assert report["states"] == {"CONFIRMED": 200}
    assert report["floor_per_s"] == 1000
    assert report["ratio"] == pytest.approx(report["rate_per_s"] / 1000, abs=0.01)  # both are rounded
    assert report["settled_s"] >= report["final_s"] > 0


async def test_the_saga_keeps_up_with_writing_alone(ecom: Command) -> None:
    """Real baskets, beside what PostgreSQL and Kafka need for an order's rows and events alone; 0.3 to 0.6 is usual."""
    code, out, err = await ecom.run("bench", "saga", "--orders", "300", "--dataset", "--json")
    assert code == 0, err
    report = json.loads(out.splitlines()[-1])
    assert report["states"] == {"CONFIRMED": 300}
    assert report["lines"] > 5
    assert report["floor_per_s"] > 0
    assert report["settled_ratio"] > 0.03
    assert (report["settings"]["fsync"], report["settings"]["synchronous_commit"]) == ("on", "on")


async def test_a_history_and_an_open_transaction_slow_nothing_down(ecom: Command) -> None:
    """The same shop, with rows of history and then with a transaction held open too, beside fresh tables."""
    code, out, err = await ecom.run(*("bench", "growth", "--orders", "200", "--rows", "19000", "--hold", "1", "--json"))
    assert code == 0, err
    report = json.loads(out.splitlines()[-1])
    assert (report["bench"], report["history_rows"]) == ("growth", 19_000)
    assert report["held_s"] >= 1
    assert report["ratio"] > 0.3
    assert report["held_ratio"] > 0.3


async def test_a_floor_that_prints_no_rate_is_named(ecom: Command, tmp_path: Path) -> None:
    """A script that is no floor is an error that names it, before any order is placed."""
    script = tmp_path / "silent.py"
    script.write_text("print('nothing')")
    code, _, err = await ecom.run("bench", "saga", "--floor", str(script))
    assert code != 0
    assert "silent.py printed no rate" in err


async def test_a_few_products_are_imported_and_found_and_a_multiple_of_them_after(ecom: Command) -> None:
    """Every product becomes searchable, nothing asked fails, and the larger catalogue's figures stand beside them."""
    code, out, err = await ecom.run(
        *("bench", "search", "--products", "300", "--times", "2", "--clients", "2", "--seconds", "0.5", "--json")
    )
    assert code == 0, err
    report = json.loads(out.splitlines()[-1])
    grown = report["grown"]
    assert (report["products"], grown["products"], report["times"]) == (300, 600, 2)
    for stage in (report, grown):
        assert stage["rate_per_s"] > 0
        assert 0 < stage["p50_ms"] <= stage["p99_ms"]
        assert stage["queries_per_s"] > 0
        assert 0 < stage["autocomplete_p50_ms"] <= stage["autocomplete_p99_ms"]
        assert set(stage["kinds"]) == {"product", "chance", "common", "typo"}
        assert (stage["failed"], stage["first_failure"]) == (0, "")
    assert report["cores"] == os.cpu_count()
    assert report["clients"] == 2


async def test_a_checked_order_costs_a_small_multiple_of_an_unchecked_one(ecom: Command) -> None:
    """Publishing validates and encodes; a ratio to encoding alone, for the machine is never ours alone."""
    code, out, err = await ecom.run("bench", "contracts", "--lines", "10", "--rounds", "40", "--json")
    assert code == 0, err
    report = json.loads(out.splitlines()[-1])
    (cost,) = report["orders"]
    assert (report["bench"], cost["lines"]) == ("contracts", 10)
    assert 1 < cost["ratio"] < 15
    assert cost["ratio"] == pytest.approx(cost["publish_us"] / cost["encode_floor_us"], rel=0.05)
    assert set(cost["read_us"]) == {"payment", "inventory", "notification"}
    assert min(cost["read_us"].values()) > 0
