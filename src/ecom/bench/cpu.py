"""The CPU time of processes that are not ours to ask: a server and all it started, as the kernel counts it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def family_cpu_s(pid: int) -> float:
    """The CPU seconds of a process, of its living descendants, and of those it has waited for."""
    parents: dict[int, int] = {}
    spent: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            parents[int(entry.name)] = int(fields[1])
            spent[int(entry.name)] = sum(map(int, fields[11:15])) * _TICK_S
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(spent.get(member, 0.0) for member in family)
