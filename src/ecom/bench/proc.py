"""What the kernel says of one process: its memory and its CPU time."""

from __future__ import annotations

import os
import re
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
_RSS = re.compile(r"^Rss:\s+(\d+) kB", re.MULTILINE)


def memory_mb(pid: int) -> tuple[float, float]:
    """PSS and RSS; in PSS a page that n processes share counts as an n-th of it. Raises OSError where it is gone."""
    said = Path(f"/proc/{pid}/smaps_rollup").read_text()
    pss, rss = _PSS.search(said), _RSS.search(said)
    assert pss is not None and rss is not None, said  # noqa: PT018, S101 (the kernel writes both)
    return int(pss[1]) / 1024, int(rss[1]) / 1024


def cpu_s(pid: int) -> float:
    """CPU seconds of the process itself, its threads and no child. Raises OSError where it is gone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S
