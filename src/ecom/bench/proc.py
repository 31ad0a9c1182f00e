"""What the kernel says of processes: their memory and their CPU time."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
_RSS = re.compile(r"^Rss:\s+(\d+) kB", re.MULTILINE)
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)


def memory_mb(*pids: int) -> tuple[float, float]:
    """PSS and RSS; in PSS a page that n processes share counts as an n-th of it. Raises OSError where one is gone."""
    said = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    return _sum_mb(_PSS, said), _sum_mb(_RSS, said)


def cpu_s(*pids: int) -> float:
    """CPU seconds of the processes themselves, their threads and no child. Raises OSError where one is gone."""
    stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(fields[11]) + int(fields[12]) for fields in stats) * _TICK_S


def peak_mb(*pids: int) -> int:
    """The most RSS that each process ever had, added up. Raises OSError where one is gone."""
    return round(_sum_mb(_PEAK, [Path(f"/proc/{pid}/status").read_text() for pid in pids]))


def _sum_mb(figure: re.Pattern[str], said: Iterable[str]) -> float:
    return sum(int(kb) for text in said for kb in figure.findall(text)) / 1024
