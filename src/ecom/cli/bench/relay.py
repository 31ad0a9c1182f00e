"""`ecom bench relay`: committed rows until Kafka has acknowledged them all, beside Kafka's producer alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ecom.cli.bench.options import AsJson

if TYPE_CHECKING:
    from ecom.bench.report import Report
    from ecom.bench.stand import Stand


def register(bench: typer.Typer) -> None:
    bench.command()(relay)


def relay(
    rows: Annotated[int, typer.Option(min=10, help="How many rows are drained.")] = 100_000,
    backlog: Annotated[
        int | None, typer.Option(min=10, help="Then so many more in one drain, to see that memory stays flat.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Rows committed before the relay starts, until all are acknowledged and SENT; the topic is read back."""
    from ecom.cli import logs, loop
    from ecom.cli.bench.output import show

    logs.set_up("WARNING")
    show(loop.run(_relay(rows, backlog)), as_json=as_json)


async def _relay(rows: int, backlog: int | None) -> Report:
    from ecom.bench.place import place
    from ecom.bench.report import surroundings
    from ecom.bench.stand import Address, stand

    async with place() as here:
        address = Address(here.servers.database_url, here.servers.bootstrap, here.prefix)
        async with stand(address) as made:
            first = await _drained(made, rows)
            settings = await surroundings(made.database)
        if backlog is None:
            return {"bench": "relay", **first, **settings}
        async with stand(address) as made:
            return {"bench": "relay", **first, "backlog": await _drained(made, backlog), **settings}


async def _drained(made: Stand, rows: int) -> Report:
    from ecom.bench.relay import run
    from ecom.bench.report import ratio

    result = await run(made, rows=rows)
    return {
        "rows": result.rows,
        "rate_per_s": round(result.rate_per_s),
        "floor_per_s": round(result.floor_per_s),
        "ratio": ratio(result.rate_per_s, result.floor_per_s),
        "bulk_insert_per_s": round(result.bulk_insert_per_s),
        "process_cpu_us_each": round(1e6 * result.cpu_s / result.rows, 1),
        "rss_mb": result.rss_most_mb,
        "rss_start_mb": result.rss_start_mb,
        "rss_end_mb": result.rss_end_mb,
        "out_of_order": result.out_of_order,
        "missing": result.missing,
    }
