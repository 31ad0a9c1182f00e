"""`ecom bench contracts`: what checking and encoding costs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from ecom.cli.bench.options import AsJson

if TYPE_CHECKING:
    from ecom.bench.contracts import Cost
    from ecom.bench.report import Report


def register(bench: typer.Typer) -> None:
    bench.command()(contracts)


def contracts(
    lines: Annotated[list[int] | None, typer.Option(min=1, max=500, help="Lines of an order; more than once.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Each figure is the median of so many.")] = 500,
    as_json: AsJson = False,
) -> None:
    """What an order costs that is checked as it is published, and read through the readers' Structs; no servers."""
    from ecom.bench.contracts import measure
    from ecom.cli.bench.output import show

    reports = [_report(measure(each, rounds=rounds)) for each in lines or (1, 10, 100)]
    if as_json:
        show({"bench": "contracts", "orders": reports, "cores": os.cpu_count()}, as_json=True)
    else:
        show(*reports, as_json=False)


def _report(cost: Cost) -> Report:
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
