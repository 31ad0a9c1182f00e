"""`ecom bench http`: orders placed over HTTP by many clients, and read again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ecom.cli.bench.options import AsJson, Seed

if TYPE_CHECKING:
    from ecom.bench.http import Result
    from ecom.bench.report import Report


def register(bench: typer.Typer) -> None:
    bench.command()(http)


def http(
    orders: Annotated[int, typer.Option(min=1, help="How many orders, at most.")] = 20_000,
    lines: Annotated[int, typer.Option(min=1, max=500, help="Lines of each order.")] = 2,
    clients: Annotated[int, typer.Option(min=1, max=1000, help="Who place orders, each one at a time.")] = 32,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long they place orders, at most.")] = 15,
    alone: Annotated[bool, typer.Option("--alone", help="Only the order service: no saga runs behind.")] = False,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """POST /api/orders, each answered after its durable commit, and GET of the same orders."""
    from ecom.bench.http import run
    from ecom.bench.place import place
    from ecom.cli import logs, loop
    from ecom.cli.bench.output import show

    async def measured() -> Report:
        async with place() as here:
            result = await run(
                here, orders=orders, lines=lines, clients=clients, seconds=seconds, seed=seed, alone=alone
            )
        return {"bench": "http", "clients": clients, "lines": lines, "saga_behind": not alone, **_report(result)}

    logs.set_up("WARNING")
    show(loop.run(measured()), as_json=as_json)


def _report(result: Result) -> Report:
    from ecom.bench.report import ratio

    placed, read, nothing = result.placed, result.read, result.nothing
    return {
        "orders": placed.all.count,
        "rate_per_s": round(placed.per_s),
        "floor_per_s": round(result.floor.per_s),
        "ratio": ratio(placed.per_s, result.floor.per_s),
        "p50_ms": placed.all.p50_ms,
        "p95_ms": placed.all.p95_ms,
        "p99_ms": placed.all.p99_ms,
        "floor_p50_ms": round(result.floor.p50_ms, 2),
        "final_meanwhile": result.final_meanwhile,
        "drain_s": round(result.drain_s, 1),
        "services_cpu_ms_each": round(1000 * result.cpu_s / max(1, placed.all.count), 3),
        "load_cpu_ms_each": round(1000 * placed.cpu_s / max(1, placed.all.count), 3),
        "nothing_per_s": round(nothing.per_s),
        "reads_per_s": round(read.per_s),
        "read_ratio": ratio(read.per_s, nothing.per_s),
        "read_p50_ms": read.all.p50_ms,
        "read_p95_ms": read.all.p95_ms,
        "read_p99_ms": read.all.p99_ms,
        "failed": nothing.failed + placed.failed + read.failed,
        "first_failure": nothing.first_failure or placed.first_failure or read.first_failure,
        "states": dict(result.states),
        "rss_mb": result.rss_mb,
        **result.surroundings,
    }
