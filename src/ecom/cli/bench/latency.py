"""`ecom bench latency`: from a commit to a plain consumer at fixed rates, beside the same without an outbox."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecom.cli.bench.options import AsJson

if TYPE_CHECKING:
    from ecom.bench.floors import Latency
    from ecom.bench.latency import Heard
    from ecom.bench.report import Report
    from ecom.bench.stand import Stand

RATES = (500, 1_000, 2_000)


def register(bench: typer.Typer) -> None:
    bench.command()(latency)


def latency(
    rate: Annotated[list[float] | None, typer.Option(min=1, help="Commits a second; more than once.")] = None,
    seconds: Annotated[float, typer.Option(min=0.5, help="How long each rate is kept.")] = 10,
    idle: Annotated[float, typer.Option(min=1, help="How long an idle leader is watched.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Single-row commits by eight connections, the relay's leader in this process and then in another."""
    from ecom.cli import logs, loop
    from ecom.cli.bench.output import show

    logs.set_up("WARNING")
    reports, common = loop.run(_latency(rate or list(RATES), seconds, idle))
    if as_json:
        # The figures of the last rate stand beside all of them, under the names that every bench has.
        last = reports[-1]["here"]
        show(
            {"bench": "latency", **{name: last[name] for name in PERCENTILES}, "rates": reports, **common}, as_json=True
        )
    else:
        show(*({"bench": "latency", **report, **common} for report in reports), as_json=False)


PERCENTILES = ("p50_ms", "p95_ms", "p99_ms")


async def _latency(rates: list[float], seconds: float, idle_s: float) -> tuple[list[dict[str, Any]], Report]:
    from ecom.bench import latency as bench
    from ecom.bench.floors import durable_insert
    from ecom.bench.place import place
    from ecom.bench.report import surroundings
    from ecom.bench.stand import Address, stand

    async with place() as here:
        address = Address(here.servers.database_url, here.servers.bootstrap, here.prefix)
        async with stand(address) as made:
            commits = await durable_insert(
                address.database_url, address.prefix, made.message(0)[1], clients=bench.CONNECTIONS, seconds=2
            )
            reports = [await _at(made, rate, seconds) for rate in rates]
            quiet = await bench.idle(made, idle_s)
            return reports, {
                "seconds": seconds,
                "connections": bench.CONNECTIONS,
                "floor_per_s": round(commits.per_s),
                "insert_floor": _shown(commits),
                "idle_queries_per_s": round(quiet.queries_per_s, 2),
                "idle_cpu_percent": round(quiet.cpu_percent, 2),
                **await surroundings(made.database),
                "cores": os.cpu_count(),
            }


async def _at(stand: Stand, rate: float, seconds: float) -> dict[str, Any]:
    from ecom.bench import latency as bench
    from ecom.bench.report import ratio

    floor = await bench.floor(stand, rate, seconds)
    here = await bench.here(stand, rate, seconds)
    apart = await bench.apart(stand, rate, seconds)
    return {
        "rate": rate,
        "floor": _heard(floor),
        "here": _heard(here),
        "apart": _heard(apart),
        "ratio": ratio(here.after_commit.p50_ms, floor.after_commit.p50_ms),
    }


def _heard(heard: Heard) -> dict[str, Any]:
    return {
        "rate_per_s": round(heard.rate),
        **_shown(heard.after_commit),
        "from_call_p50_ms": round(heard.after_call.p50_ms, 2),
        "missing": heard.missing,
    }


def _shown(took: Latency) -> dict[str, float]:
    return {name: round(getattr(took, name), 2) for name in PERCENTILES}
