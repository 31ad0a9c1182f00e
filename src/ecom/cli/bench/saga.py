"""`ecom bench saga`: orders placed in bulk until each is final and settled, beside an unsafe saga as its floor."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import typer

from ecom.cli.bench.options import AsJson, Seed

if TYPE_CHECKING:
    from ecom.bench.baskets import Load
    from ecom.bench.report import Report
    from ecom.local import Servers

_FLOOR_RATE = re.compile(r"confirmed (\d+) orders/s")


def register(bench: typer.Typer) -> None:
    bench.command()(saga)


def saga(
    orders: Annotated[int, typer.Option(min=1, help="How many orders.")] = 20_000,
    lines: Annotated[int, typer.Option(min=1, max=500, help="Lines of each order.")] = 2,
    dataset: Annotated[
        bool, typer.Option("--dataset", help="Real baskets instead, 9.4 lines each on average.")
    ] = False,
    floor: Annotated[
        Path | None, typer.Option(help="An unsafe saga to run first, on the same servers.", exists=True)
    ] = None,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Orders placed in bulk until every one is final and settled in every service."""
    from ecom.cli import logs, loop
    from ecom.cli.bench.output import show

    logs.set_up("WARNING")
    load = loads(orders, lines, dataset=dataset, seed=seed)
    show(loop.run(_saga(load, floor)), as_json=as_json)


def loads(orders: int, lines: int, *, dataset: bool, seed: int) -> Load:
    """What to place: orders drawn by the seed, or real baskets."""
    from ecom.bench.baskets import bought, drawn
    from ecom.datasets import completejourney
    from ecom.local import home_path

    if dataset:
        return bought(completejourney.load(home_path(os.environ) / "cache"), orders, seed=seed)
    return drawn(orders, lines, seed=seed)


async def _saga(load: Load, script: Path | None) -> Report:
    from ecom.bench.place import place
    from ecom.bench.report import ratio, surroundings
    from ecom.bench.saga import run, writing_alone

    async with place() as here:
        # A script knows one number of lines for all.
        floor_per_s = (
            await _floor(script, here.servers, len(load.orders), round(load.lines_each))
            if script
            else await writing_alone(here, load)
        )
        async with here.shop() as running:
            result = await run(running, load)
            return {
                "bench": "saga",
                "orders": result.orders,
                "lines": round(result.lines, 1),
                "rate_per_s": round(result.rate_per_s),
                "settled_per_s": round(result.settled_per_s),
                "floor": script.name if script else "the rows and events of an order, written alone",
                "floor_per_s": round(floor_per_s),
                "ratio": ratio(result.rate_per_s, floor_per_s),
                "settled_ratio": ratio(result.settled_per_s, floor_per_s),
                "placed_s": round(result.placed_s, 1),
                "final_s": round(result.final_s, 1),
                "settled_s": round(result.settled_s, 1),
                "services_cpu_s": round(result.cpu_s, 1),
                "rss_mb": result.rss_mb,
                "states": dict(result.states),
                **await surroundings(running.services["order"].database),
            }


async def _floor(script: Path, running: Servers, orders: int, lines: int) -> float:
    """The floor's orders a second; it takes the database's address without a name, and goes the same way to it."""
    address = urlsplit(running.database_url)
    place = dict(parse_qsl(address.query))
    environ = {
        **os.environ,
        **{name: place[key] for name, key in (("PGHOST", "host"), ("PGPORT", "port")) if key in place},
        "FLOOR_PG": urlunsplit(address._replace(path="/", query="")),
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
