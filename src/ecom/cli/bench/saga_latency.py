"""`ecom bench saga-latency`: how long an order takes from the client's call to CONFIRMED, at a steady rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ecom.cli.bench.options import AsJson, Seed

if TYPE_CHECKING:
    from ecom.bench.report import Report
    from ecom.bench.saga_latency import Floor, Stage

RATES = (50.0, 200.0)


def register(bench: typer.Typer) -> None:
    bench.command(name="saga-latency")(saga_latency)


def saga_latency(
    rate: Annotated[
        list[float] | None, typer.Option(min=0.1, help="Orders a second; more than once. 50 and 200 by default.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long orders arrive, at each rate.")] = 15,
    lines: Annotated[int, typer.Option(min=1, max=500, help="Lines of each order.")] = 2,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Orders placed over HTTP at a steady rate until each is CONFIRMED, the clients' own time."""
    from ecom.bench.place import place
    from ecom.bench.saga_latency import run
    from ecom.cli import logs, loop
    from ecom.cli.bench.output import show

    async def measured() -> list[Report]:
        async with place() as here:
            result = await run(here, rates=rate or RATES, seconds=seconds, lines=lines, seed=seed)
        return [{**_report(stage, result.floor), **result.surroundings} for stage in result.stages]

    logs.set_up("WARNING")
    reports = loop.run(measured())
    if as_json:
        show({**reports[0], "rates": reports}, as_json=True)
    else:
        show(*reports, as_json=False)


def _report(stage: Stage, floor: Floor) -> Report:
    from ecom.bench.report import ratio

    return {
        "bench": "saga-latency",
        "orders_per_s": stage.per_s,
        "orders": stage.orders,
        "rate_per_s": round(stage.reached_per_s, 1),
        "p50_ms": round(stage.confirmed.p50_ms, 2),
        "p95_ms": round(stage.confirmed.p95_ms, 2),
        "p99_ms": round(stage.confirmed.p99_ms, 2),
        "recorded_p50_ms": round(stage.recorded.p50_ms, 2),
        "recorded_p99_ms": round(stage.recorded.p99_ms, 2),
        "answered_p50_ms": round(stage.answered.p50_ms, 2),
        "answered_p99_ms": round(stage.answered.p99_ms, 2),
        "load_late_p99_ms": round(stage.late.p99_ms, 2),
        "floor_p50_ms": round(floor.p50_ms, 2),
        "ratio": ratio(stage.confirmed.p50_ms, floor.p50_ms),
        "floor_paced_p50_ms": round(floor.paced_p50_ms, 2),
        "floor_commit_p50_ms": round(floor.commit.p50_ms, 2),
        "floor_message_p50_ms": round(floor.message.p50_ms, 2),
        "floor_call_p50_ms": floor.call_p50_ms,
        "services_cpu_ms_each": round(1000 * stage.cpu_s / max(1, stage.orders), 3),
        "load_cpu_ms_each": round(1000 * stage.load_cpu_s / max(1, stage.orders), 3),
        "states": dict(stage.states),
        "failed": stage.failed,
        "first_failure": stage.first_failure,
        "rss_mb": stage.rss_mb,
    }
