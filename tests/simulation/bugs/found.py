"""Which seed found which bug: a page for people, and where the tests begin to look."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tests.simulation.bugs import BUGS

if TYPE_CHECKING:
    from tests.simulation.command import Hunted

PAGE = Path(__file__).resolve().parents[3] / "docs" / "simulation-bugs.md"
SEEDS_MAX = 250
HEAD = """# Bugs on purpose

Written by `./ecom simulate --bugs`: each line is a switch in `tests/simulation/bugs` that breaks one rule of
[the catalogue](failure-modes.md), how many seeds the simulator needed to find it (from seed 1 on), and the first
violation it saw. `tests/simulation/test_bugs.py` finds each again.

| row | what is broken | seeds needed | found by |
|---|---|---|---|
"""


def write(hunted: Iterable[Hunted]) -> None:
    """The page, in the order of the catalogue."""
    by_row = {one.row: one for one in hunted}
    lines = [
        f"| {row} | {bug.what} | {one.tried if one.seed is not None else 'not found'} | {_short(one.by)} |"
        for row, bug in BUGS.items()
        if (one := by_row.get(row))
    ]
    PAGE.write_text(HEAD + "\n".join(lines) + "\n")


def seeds() -> Mapping[str, int]:
    """The seed that found each bug, as the page has it."""
    found = re.findall(r"^\| ([A-Z]\d+) \|.*\| (\d+) \|[^|]*\|$", PAGE.read_text(), re.MULTILINE)
    return {row: int(seed) for row, seed in found}


def _short(violation: str) -> str:
    """The first line, without ids that differ from run to run."""
    line = (
        violation.split("\n", maxsplit=1)[0] if not violation.startswith("error") else violation.strip().split("\n")[-1]
    )
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "…", line).replace("|", "/")[:110]
