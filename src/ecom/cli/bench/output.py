"""What a bench says: a table for people, or one JSON object on the last line for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecom.bench.report import Report


def show(*reports: Report, as_json: bool) -> None:
    """Print the first report as JSON, or all of them as a table: a column each, what was asked beside what it was."""
    if as_json:
        print(json.dumps(reports[0]))
        return
    from rich.console import Console
    from rich.table import Table

    first, *_ = reports
    table = Table("what", *("reached" for _ in reports), title=f"ecom bench {first['bench']}")
    for name in dict.fromkeys(name for report in reports for name in report):
        table.add_row(name, *(_shown(report.get(name)) for report in reports))
    Console().print(table)


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "\n".join(f"{key} {_shown(each)}" for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return "\n\n".join(map(_shown, value))
    return "-" if value is None else str(value)
