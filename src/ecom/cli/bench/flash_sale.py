"""`ecom bench flash-sale`: many clients want one SKU at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ecom.cli.bench.options import AsJson, Seed

if TYPE_CHECKING:
    from ecom.bench.flash_sale import Result, Sale
    from ecom.bench.report import Report


def register(bench: typer.Typer) -> None:
    bench.command(name="flash-sale")(flash_sale)


def flash_sale(
    units: Annotated[int, typer.Option(min=1, help="Units there are; a fifth more are wanted.")] = 10_000,
    clients: Annotated[int, typer.Option(min=1, max=1000, help="Who buy, each one unit at a time.")] = 200,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """One SKU sold out through POST /api/inventory/reserve, and then another one through POST /api/orders."""
    from ecom.bench.flash_sale import run
    from ecom.bench.place import place
    from ecom.cli import logs, loop
    from ecom.cli.bench.output import show

    async def measured() -> Report:
        async with place() as here:
            result = await run(here, units=units, clients=clients, seed=seed)
        return {"bench": "flash-sale", "units": units, "clients": clients, **_report(result)}

    logs.set_up("WARNING")
    show(loop.run(measured()), as_json=as_json)


def _report(result: Result) -> Report:
    from ecom.bench.report import ratio

    by_hand, by_order = result.by_hand, result.by_order
    return {
        "rate_per_s": round(by_hand.seen.answered_per_s),
        "floor_per_s": round(result.floor.per_s),
        "ratio": ratio(by_hand.seen.answered_per_s, result.floor.per_s),
        "p50_ms": by_hand.seen.all.p50_ms,
        "p95_ms": by_hand.seen.all.p95_ms,
        "p99_ms": by_hand.seen.all.p99_ms,
        "nothing_per_s": round(result.nothing.per_s),
        "nothing_p95_ms": result.nothing.all.p95_ms,
        **_sale(by_hand),
        "orders_per_s": round(by_order.seen.answered_per_s),
        "orders_p50_ms": by_order.seen.all.p50_ms,
        "orders_p95_ms": by_order.seen.all.p95_ms,
        "orders_p99_ms": by_order.seen.all.p99_ms,
        **{f"orders_{name}": value for name, value in _sale(by_order).items()},
        "orders_final_s": round(by_order.seen.elapsed_s + result.final_s, 1),
        "orders_states": dict(result.states),
        "oversold": result.oversold,
        **result.surroundings,
    }


def _sale(sale: Sale) -> Report:
    return {
        "sold": sale.sold,
        "available": sale.available,
        "refused": dict(sale.seen.reasons),
        "server_errors": sale.seen.server_errors,
    }
