"""`ecom bench`: measures what the README claims, on real servers, with the floor beside it."""

from __future__ import annotations

import typer

from ecom.cli.bench import (
    consume,
    contracts,
    flash_sale,
    footprint,
    growth,
    http,
    latency,
    relay,
    saga,
    saga_latency,
    search,
)

bench = typer.Typer(help="Measure what the README claims.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(bench, name="bench")


@bench.callback()
def _bench() -> None:
    """Each bench runs its floor first, prints a table, and with --json one JSON object on its last line."""


for each in (
    relay,
    latency,
    consume,
    saga,
    saga_latency,
    http,
    flash_sale,
    growth,
    footprint,
    search,
    contracts,
):
    each.register(bench)
