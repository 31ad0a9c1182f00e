"""`ecom demo`: a real year of baskets through the whole shop, and the books compared after."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ecom.demo.run import Options


def register(app: typer.Typer) -> None:
    app.command(name="demo")(demo)
    app.command(name="demo-shop", hidden=True)(demo_shop)


def demo(
    orders: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many orders to place.")] = 1000,
    every: Annotated[bool, typer.Option("--all", help="Every basket of the year.")] = False,
    seed: Annotated[int, typer.Option(help="Which baskets, and which of them meet trouble.")] = 1,
    concurrency: Annotated[int, typer.Option(min=1, max=1000, help="Customers at a time.")] = 24,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on the last line.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the shop open after, until Ctrl-C.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The HTTP port; 0 takes a free one.")] = 0,
) -> None:
    """Start everything for real, place orders from real baskets, wait for their end, audit, and say how it went."""
    from ecom.cli import logs, loop
    from ecom.demo.run import Options

    logs.set_up("ERROR")
    options = Options(orders=None if every else orders, seed=seed, concurrency=concurrency, port=port)
    raise typer.Exit(loop.run(_demo(options, as_json=json, keep=keep)))


async def _demo(options: Options, *, as_json: bool, keep: bool) -> int:
    from rich.console import Console

    from ecom.cli import loop
    from ecom.demo.display import Display
    from ecom.demo.run import Demo
    from ecom.local import Home, home_path

    # The object is the last line of the output; what people read goes beside it.
    display = Display(Console(stderr=as_json))
    home = Home(home_path(os.environ))
    async with Demo(options, os.environ, home, display).running() as report:
        display.summary(report)
        if as_json:
            sys.stdout.write(report.as_json().decode() + "\n")
            sys.stdout.flush()
        if keep:
            display.say("The shop stays open; Ctrl-C closes it.")
            await loop.forever()
    return 0 if report.is_good else 1


def demo_shop(
    port: Annotated[int, typer.Option()],
    prefix: Annotated[str, typer.Option()] = "",
) -> None:
    """All services in one process, on the servers that `ecom demo` holds: its own child."""
    from ecom.cli import logs, loop

    logs.set_up("WARNING")
    loop.run(_demo_shop(port, prefix), stop_is_success=True)


async def _demo_shop(port: int, prefix: str) -> None:
    from ecom.cli import loop
    from ecom.local import Home, home_path, joined_servers
    from ecom.running import run_here
    from ecom.shop import Shop

    shop = Shop.all(os.environ, prefix=prefix)
    async with (
        joined_servers(Home(home_path(os.environ)), os.environ) as on,
        run_here(shop, on, address="127.0.0.1", port=port),
    ):
        await loop.forever()
