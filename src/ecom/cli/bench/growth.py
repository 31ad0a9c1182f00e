"""`ecom bench growth`: the saga with a history in its tables, and beside a transaction that nobody ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ecom.cli.bench.options import AsJson, Seed

if TYPE_CHECKING:
    from ecom.bench.report import Report


def register(bench: typer.Typer) -> None:
    bench.command()(growth)


def growth(
    orders: Annotated[int, typer.Option(min=1, help="How many orders, each time.")] = 20_000,
    rows: Annotated[int, typer.Option(min=0, help="History in outbox, inbox, orders and reservations.")] = 10_000_000,
    hold: Annotated[float, typer.Option(min=0, help="Seconds that a transaction is open.")] = 600,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Two-line orders settled a second: on fresh tables, with a history, and with a transaction held open too."""
    from ecom.cli import logs, loop
    from ecom.cli.bench.output import show

    logs.set_up("WARNING")
    show(loop.run(_growth(orders, rows, hold, seed)), as_json=as_json)


async def _growth(orders: int, rows: int, hold: float, seed: int) -> Report:
    from ecom.bench.baskets import drawn
    from ecom.bench.growth import measure
    from ecom.bench.place import place
    from ecom.bench.report import ratio

    load, warm = drawn(orders, 2, seed=seed), drawn(max(100, orders // 10), 2, seed=seed + 1)
    async with place() as here:
        grown = await measure(here, load, warm, rows=rows, hold_s=hold)
        return {
            "bench": "growth",
            "orders": orders,
            "history_rows": grown.rows,
            "held_s": round(grown.held_s),
            "floor_per_s": round(grown.fresh),  # the same on fresh tables, before and after
            "fresh_per_s": [round(each) for each in grown.fresh_per_s],
            "rate_per_s": round(grown.grown_per_s),
            "ratio": ratio(grown.grown_per_s, grown.fresh),
            "held_per_s": round(grown.held_per_s),
            "held_ratio": ratio(grown.held_per_s, grown.fresh),
        }
