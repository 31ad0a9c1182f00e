"""`ecom bench consume`: messages checked, admitted, written down and answered, beside a bare consumer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ecom.cli.bench.options import AsJson

if TYPE_CHECKING:
    from ecom.bench.report import Report


def register(bench: typer.Typer) -> None:
    bench.command()(consume)


def consume(
    messages: Annotated[int, typer.Option(min=2_000, help="How many messages lie in the topic.")] = 100_000,
    as_json: AsJson = False,
) -> None:
    """Validation, inbox, one row of effect and one outgoing event for each message, in one process with its relay."""
    from ecom.cli import logs, loop
    from ecom.cli.bench.output import show

    logs.set_up("WARNING")
    show(loop.run(_consume(messages)), as_json=as_json)


async def _consume(messages: int) -> Report:
    from ecom.bench.consume import run
    from ecom.bench.place import place
    from ecom.bench.report import ratio, surroundings
    from ecom.bench.stand import Address, stand

    async with place() as here:
        address = Address(here.servers.database_url, here.servers.bootstrap, here.prefix)
        async with stand(address) as made:
            result = await run(made, messages=messages)
            return {
                "bench": "consume",
                "messages": result.messages,
                "rate_per_s": round(result.rate_per_s),
                "sent_per_s": round(result.sent_per_s),
                "floor_per_s": round(result.bare_consumer_per_s),
                "ratio": ratio(result.rate_per_s, result.bare_consumer_per_s),
                "bulk_insert_per_s": round(result.bulk_insert_per_s),
                "insert_ratio": ratio(result.rate_per_s, result.bulk_insert_per_s),
                "process_cpu_us_each": round(1e6 * result.cpu_s / result.messages, 1),
                "rss_mb": result.rss_mb,
                **await surroundings(made.database),
            }
