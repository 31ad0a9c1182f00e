"""`ecom bench footprint`: what `ecom up` costs, idle and under load."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Annotated

import typer

from ecom.cli.bench.options import AsJson, Seed

if TYPE_CHECKING:
    from ecom.bench.footprint import Result
    from ecom.bench.report import Report


def register(bench: typer.Typer) -> None:
    bench.command()(footprint)


def footprint(
    orders: Annotated[int, typer.Option(min=1, help="How many orders, at most.")] = 10_000,
    clients: Annotated[int, typer.Option(min=1, max=1000, help="Who place orders, each one at a time.")] = 32,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long it rests, and how long it works at most.")] = 10,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """`ecom up` from its start to the first order, its memory and CPU at rest, and its memory at work."""
    from ecom.bench.footprint import run
    from ecom.cli import logs, loop
    from ecom.cli.bench.output import show

    logs.set_up("WARNING")
    result = loop.run(run(orders=orders, clients=clients, seconds=seconds, seed=seed))
    show({"bench": "footprint", **_report(result)}, as_json=as_json)


def _report(result: Result) -> Report:
    from ecom.bench.report import ratio

    return {
        "own_servers": result.own_servers,
        "open_s": round(result.open_s, 2),
        "first_order_s": round(result.first_order_s, 2),
        "processes": result.processes,
        "pss_mb": round(result.idle_mb),
        "rss_mb": round(result.idle_rss_mb),
        "floor_mb": round(result.floor.pss_mb),
        "ratio": ratio(result.idle_mb, result.floor.pss_mb),
        "floor_start_s": round(result.floor.start_s, 2),
        "idle_cpu_percent": round(100 * result.idle_cpu, 2),
        "load_pss_mb": round(result.load_mb),
        "after_pss_mb": round(result.after_mb),
        "provider_pss_mb": round(result.provider_mb),
        "load_per_s": round(result.load.per_s),
        "failed": result.load.failed,
        "first_failure": result.load.first_failure,
        "versions": {"python": platform.python_version()},
        "cores": os.cpu_count(),
    }
