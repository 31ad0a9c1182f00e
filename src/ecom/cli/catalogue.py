"""`ecom catalogue import|announce`: a real grocer's products into the shop, and all products said again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dovecote.errors import DovecoteError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from dovecote.database import Database

catalogue = typer.Typer(help="The products, many at a time.", no_args_is_help=True)

Prefix = Annotated[str, typer.Option(help="Goes before every schema.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on the last line.")]


def register(app: typer.Typer) -> None:
    app.add_typer(catalogue, name="catalogue")


@catalogue.command(name="import")
def import_(
    products: Annotated[int | None, typer.Option(min=1, help="Only so many, the most bought; else all.")] = None,
    stock: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Units of each SKU that was never on stock.")] = 1000,
    prefix: Prefix = "",
    as_json: AsJson = False,
) -> None:
    """Put the 92,331 products of the completejourney data set into the catalogue, and stock for them.

    It may be broken off and run again; what is there already stays as it is.
    """
    from ecom.cli import logs, loop

    logs.set_up("WARNING")
    loop.run(_import(products, stock, prefix, as_json))


@catalogue.command()
def announce(prefix: Prefix = "", as_json: AsJson = False) -> None:
    """Say every product again, under a new version, for readers whose topics no longer hold its last event."""
    from ecom.cli import logs, loop

    logs.set_up("WARNING")
    loop.run(_announce(prefix, as_json))


async def _import(count: int | None, units: int, prefix: str, as_json: bool) -> None:
    from rich.console import Console

    from ecom.catalogue.importing import Imported, Importer
    from ecom.cli.operator import connected_all
    from ecom.datasets import articles
    from ecom.local import Home, home_path

    console = Console(stderr=as_json)
    every = await asyncio.to_thread(articles.products, Home(home_path(os.environ)).path / "cache")
    chosen = every if count is None else every.first(count)
    async with connected_all(["product", "inventory"], prefix=prefix) as services:
        product, inventory = services["product"].database, services["inventory"].database
        done, began = Imported(), time.monotonic()
        with _bar(console, "Importing products", len(chosen), again="goes on from there") as bar:
            async for done in Importer(product, inventory, units).run(chosen):
                bar.update(bar.task_ids[0], completed=done.products)
        if done.is_nothing_new:
            _say(console, f"All {done.products:,} products were there as they should be: nothing was changed.")
        else:
            _say(
                console,
                f"{done.products:,} products are in the catalogue: {done.changed:,} new or changed, "
                f"{done.stocked:,} put on stock for the first time ({units:,} units each).",
            )
        result = {"products": done.products, "changed": done.changed, "stocked": done.stocked}
        await _end(console, product, {**result, "seconds": round(time.monotonic() - began, 1)}, as_json)


async def _announce(prefix: str, as_json: bool) -> None:
    from rich.console import Console

    from ecom.catalogue.announcing import announce
    from ecom.catalogue.store import count_products
    from ecom.cli.operator import connected

    console = Console(stderr=as_json)
    async with connected("product", prefix=prefix) as service:
        said, began = 0, time.monotonic()
        total = await count_products(service.database)
        with _bar(console, "Announcing products", total, again="says all of them") as bar:
            async for said in announce(service.database):
                bar.update(bar.task_ids[0], completed=said)
        _say(console, f"{said:,} products were said again, each under a new version.")
        result = {"announced": said, "seconds": round(time.monotonic() - began, 1)}
        await _end(console, service.database, result, as_json)


def _say(console: Console, line: str) -> None:
    """A line for people, as long as it is."""
    console.print(line, soft_wrap=True, highlight=False)


@contextlib.contextmanager
def _bar(console: Console, doing: str, total: int, *, again: str) -> Iterator[Progress]:
    """A bar while it lasts; where it is broken off, a line that says how far it came."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = progress.add_task(doing, total=total)
    try:
        with progress:
            yield progress
    except (asyncio.CancelledError, DovecoteError):
        _say(
            console,
            f"{doing} was broken off after {progress.tasks[task].completed:,.0f} of {total:,}. "
            f"What is done is done; run the same command again, and it {again}.",
        )
        raise


async def _end(console: Console, database: Database, result: Mapping[str, Any], as_json: bool) -> None:
    """Say where the events are, and all of it as JSON where that was asked for."""
    from ecom.catalogue.store import count_waiting, is_relayed

    waiting, relayed = await count_waiting(database), await is_relayed(database)
    if waiting:
        when = "the shop runs, and sends them now" if relayed else "they leave when the shop starts (ecom up)"
        _say(console, f"{waiting:,} events are in the outbox: {when}.")
    if as_json:
        sys.stdout.write(json.dumps({**result, "waiting": waiting, "relayed": relayed}) + "\n")
        sys.stdout.flush()
