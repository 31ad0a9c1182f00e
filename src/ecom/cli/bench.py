"""`ecom bench`: measures what the README claims, on real servers, with the floor beside it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ecom.bench.saga import Result
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
    """Orders placed in bulk until every one is final and settled in all four services."""
    from ecom.cli import logs, loop

    logs.set_up()
    result, floor_per_s = loop.run(_saga(orders, lines, floor, seed))
    report = _report(result, floor_per_s)
    if not as_json:
        _print(report)
        return
    print(json.dumps(report))


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
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), str(orders), str(lines), "update", env=environ, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    found = _FLOOR_RATE.search(output.decode())
    if found is None:
        raise typer.BadParameter(f"{script.name} printed no rate: {output.decode()[-200:]!r}", param_hint="--floor")
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


def _print(report: Mapping[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("what", "reached", title="ecom bench saga")
    for name, value in report.items():
        table.add_row(name, "-" if value is None else str(value))
    Console().print(table)
