"""`ecom bench`: measures what the README claims, on real servers, with the floor beside it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ecom.bench.contracts import Cost
    from ecom.bench.saga import Result
    from ecom.bench.search import Spent, Stage
    from ecom.local import Servers

bench = typer.Typer(help="Measure what the README claims.", no_args_is_help=True)
_FLOOR_RATE = re.compile(r"confirmed (\d+) orders/s")


def register(app: typer.Typer) -> None:
    app.add_typer(bench, name="bench")


@bench.callback()
def _bench() -> None:
    """Each bench prints a table, and with --json one JSON object on its last line."""


@bench.command()
def saga(
    orders: Annotated[int, typer.Option(min=1, help="How many orders.")] = 20_000,
    lines: Annotated[int, typer.Option(min=1, max=500, help="Lines of each order.")] = 2,
    floor: Annotated[
        Path | None, typer.Option(help="An unsafe saga to run beside it, first, on the same servers.", exists=True)
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed places the same orders.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on the last line.")] = False,
) -> None:
    """Orders placed in bulk until every one is final and settled in every service."""
    from ecom.cli import logs, loop

    logs.set_up()
    result, floor_per_s = loop.run(_saga(orders, lines, floor, seed))
    report = _report(result, floor_per_s)
    if not as_json:
        _print(report)
        return
    print(json.dumps(report))


@bench.command()
def search(
    products: Annotated[int | None, typer.Option(min=1, help="Only so many, the most bought; else all.")] = None,
    times: Annotated[int, typer.Option(min=1, max=100, help="Then so many times as many, the same questions.")] = 1,
    clients: Annotated[int, typer.Option(min=1, max=1000, help="Who ask, each one query at a time.")] = 8,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long they ask; then as long, autocomplete.")] = 15,
    seed: Annotated[int, typer.Option(help="The same seed asks the same queries.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on the last line.")] = False,
) -> None:
    """A catalogue imported until all of it is found, then queries and autocomplete over HTTP."""
    from ecom.cli import logs, loop

    logs.set_up()
    stages = loop.run(_search(products, times, clients, seconds, seed))
    reports = [_stage(stage) for stage in stages]
    if not as_json:
        _print(*reports)
        return
    grown = {"times": times, "grown": reports[1]} if len(reports) > 1 else {}
    print(json.dumps({**reports[0], "clients": clients, "cores": os.cpu_count(), **grown}))


@bench.command()
def contracts(
    lines: Annotated[list[int] | None, typer.Option(min=1, max=500, help="Lines of an order; more than once.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Each figure is the median of so many.")] = 500,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on the last line.")] = False,
) -> None:
    """What an order costs that is checked as it is published, and read through the readers' Structs; no servers."""
    from ecom.bench.contracts import measure

    reports = [_cost(measure(each, rounds=rounds)) for each in lines or (1, 10, 100)]
    if not as_json:
        _print(*reports)
        return
    print(json.dumps({"bench": "contracts", "orders": reports, "cores": os.cpu_count()}))


async def _search(products: int | None, times: int, clients: int, seconds: float, seed: int) -> list[Stage]:
    from ecom.bench.search import Bench
    from ecom.datasets import articles
    from ecom.local import Home, home_path, servers
    from ecom.running import run_here
    from ecom.shop import Shop

    environ = dict(os.environ)
    home = home_path(environ)
    every = await asyncio.to_thread(articles.products, home / "cache")
    chosen = list(every if products is None else every.first(products))
    async with servers(Home(home / "bench"), environ) as running:
        shop = Shop.of(("product", "search"), environ, prefix=f"bench_{os.urandom(3).hex()}_")
        try:
            async with run_here(shop, running, address="127.0.0.1", port=0) as here:
                return await Bench(here, running, clients, seconds, seed).run(chosen, times=times)
        finally:
            await shop.drop(running.database_url, running.bootstrap)


async def _saga(orders: int, lines: int, floor: Path | None, seed: int) -> tuple[Result, float | None]:
    from ecom.bench.saga import run
    from ecom.local import Home, home_path, servers
    from ecom.running import PROVIDER_URL, provider, run_here
    from ecom.shop import Shop

    environ = dict(os.environ)
    prefix = f"bench_{os.urandom(3).hex()}_"
    # A home of the bench's own: the provider's ledger holds all of its orders, and the audit of a demo compares the
    # whole ledger with the demo's database.
    async with servers(Home(home_path(environ) / "bench"), environ) as running:
        floor_per_s = await _floor(floor, running, orders, lines) if floor else None
        async with provider(running, environ) as provider_url:
            environ[PROVIDER_URL] = provider_url
            shop = Shop.all(environ, prefix=prefix)
            try:
                async with run_here(shop, running, address="127.0.0.1", port=0) as here:
                    return await run(here.services, orders=orders, lines=lines, seed=seed), floor_per_s
            finally:
                await shop.drop(running.database_url, running.bootstrap)


async def _floor(script: Path, running: Servers, orders: int, lines: int) -> float:
    """The floor's orders a second; it takes the address of the database without its name."""
    environ = {
        **os.environ,
        "FLOOR_PG": running.database_url.rsplit("/", 1)[0] + "/",
        "FLOOR_KAFKA": running.bootstrap,
    }
    # Not through asyncio: uvloop runs Python in the forked child, which crashes it now and then beside threads.
    argv = [sys.executable, str(script), str(orders), str(lines), "update"]
    done = await asyncio.to_thread(subprocess.run, argv, env=environ, stdout=subprocess.PIPE, check=False)
    output = done.stdout.decode()
    found = _FLOOR_RATE.search(output)
    if found is None:
        raise typer.BadParameter(f"{script.name} printed no rate: {output[-200:]!r}", param_hint="--floor")
    return float(found[1])


def _report(result: Result, floor_per_s: float | None) -> Mapping[str, Any]:
    return {
        "bench": "saga",
        "orders": result.orders,
        "lines": result.lines,
        "rate_per_s": round(result.rate_per_s),
        "settled_per_s": round(result.settled_per_s),
        "floor_per_s": floor_per_s,
        "ratio": round(result.rate_per_s / floor_per_s, 2) if floor_per_s else None,
        "placed_s": round(result.placed_s, 1),
        "final_s": round(result.final_s, 1),
        "settled_s": round(result.settled_s, 1),
        "services_cpu_s": round(result.cpu_s, 1),
        "rss_mb": result.rss_mb,
        "states": dict(result.states),
        "cores": os.cpu_count(),
    }


def _stage(stage: Stage) -> Mapping[str, Any]:
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


def _cost(cost: Cost) -> Mapping[str, Any]:
    return {
        "bench": "contracts",
        "lines": cost.lines,
        "payload_bytes": cost.payload_bytes,
        "publish_us": round(cost.publish_us, 2),
        "encode_floor_us": round(cost.encode_us, 2),
        "ratio": round(cost.ratio, 2),
        "read_us": {reader: round(each, 2) for reader, each in cost.read_us.items()},
        "decode_floor_us": round(cost.decode_us, 2),
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


def _print(*reports: Mapping[str, Any]) -> None:
    """A column each, so that what has grown stands beside what it was."""
    from rich.console import Console
    from rich.table import Table

    first, *_ = reports
    table = Table("what", *("reached" for _ in reports), title=f"ecom bench {first['bench']}")
    for name in first:
        table.add_row(name, *(_shown(report[name]) for report in reports))
    Console().print(table)


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "\n".join(f"{key} {_shown(each)}" for key, each in value.items())
    return "-" if value is None else str(value)
