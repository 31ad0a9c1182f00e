"""`ecom bench search`: a catalogue imported until all of it is found, and then shoppers who search it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from ecom.cli.bench.options import AsJson, Seed

if TYPE_CHECKING:
    from ecom.bench.report import Report
    from ecom.bench.search import Spent, Stage


def register(bench: typer.Typer) -> None:
    bench.command()(search)


def search(
    products: Annotated[int | None, typer.Option(min=1, help="Only so many, the most bought; else all.")] = None,
    times: Annotated[int, typer.Option(min=1, max=100, help="Then so many times as many, the same questions.")] = 1,
    clients: Annotated[int, typer.Option(min=1, max=1000, help="Who ask, each one query at a time.")] = 8,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long they ask; then as long, autocomplete.")] = 15,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """A catalogue imported until all of it is found, then queries and autocomplete over HTTP."""
    from ecom.cli import logs, loop
    from ecom.cli.bench.output import show

    logs.set_up("WARNING")
    stages = loop.run(_search(products, times, clients, seconds, seed))
    reports = [_report(stage) for stage in stages]
    if as_json:
        grown = {"times": times, "grown": reports[1]} if len(reports) > 1 else {}
        show({**reports[0], "clients": clients, "cores": os.cpu_count(), **grown}, as_json=True)
    else:
        show(*reports, as_json=False)


async def _search(products: int | None, times: int, clients: int, seconds: float, seed: int) -> list[Stage]:
    from ecom.bench.place import place
    from ecom.bench.search import Bench
    from ecom.datasets import articles
    from ecom.local import home_path

    every = await asyncio.to_thread(articles.products, home_path(os.environ) / "cache")
    chosen = list(every if products is None else every.first(products))
    async with place() as here, here.shop(("product", "search")) as running:
        return await Bench(running, here.servers, clients, seconds, seed).run(chosen, times=times)


def _report(stage: Stage) -> Report:
    floor, queries, autocomplete = stage.floor.seen, stage.queries.seen, stage.autocomplete.seen
    return {
        "bench": "search",
        "products": stage.products,
        "imported": stage.imported,
        "rate_per_s": round(stage.rate_per_s),
        "put_s": round(stage.put_s, 1),
        "import_s": round(stage.import_s, 1),
        "import_cpu_ms_each": _cpu(stage.import_spent, stage.imported),
        "floor_p50_ms": floor.all.p50_ms,
        "floor_p99_ms": floor.all.p99_ms,
        "floor_per_s": round(floor.per_s),
        "floor_cpu_ms_each": _cpu(stage.floor.spent, floor.all.count),
        "p50_ms": queries.all.p50_ms,
        "p99_ms": queries.all.p99_ms,
        "queries_per_s": round(queries.per_s),
        "query_cpu_ms_each": _cpu(stage.queries.spent, queries.all.count),
        "kinds": {kind: {"p50_ms": took.p50_ms, "p99_ms": took.p99_ms} for kind, took in queries.kinds.items()},
        "empty": queries.empty,
        "autocomplete_p50_ms": autocomplete.all.p50_ms,
        "autocomplete_p99_ms": autocomplete.all.p99_ms,
        "autocompletes_per_s": round(autocomplete.per_s),
        "autocomplete_cpu_ms_each": _cpu(stage.autocomplete.spent, autocomplete.all.count),
        "failed": floor.failed + queries.failed + autocomplete.failed,
        "first_failure": floor.first_failure or queries.first_failure or autocomplete.first_failure,
        "rss_mb": stage.rss_mb,
    }


def _cpu(spent: Spent, count: int) -> Mapping[str, float | None]:
    """CPU for one request or product, by who spent it."""
    return {
        "services": _each(spent.services, count),
        "postgres": _each(spent.postgres, count),
        "kafka": _each(spent.kafka, count),
        "load": _each(spent.load, count),
    }


def _each(seconds: float, count: int) -> float | None:
    """Milliseconds of CPU for one; None where they were not seen, as with a server that is not ours."""
    return round(1000 * seconds / count, 3) if seconds and count else None
