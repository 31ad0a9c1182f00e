"""The repository as the house rules see it: its files, and where they are."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def tracked(*patterns: str) -> list[Path]:
    """The files of this repository, those not yet committed included."""
    argv = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def python_files() -> list[Path]:
    """Every Python file."""
    return tracked("*.py")


def relative(path: Path) -> str:
    """A file's path as a reader of a finding knows it."""
    return path.relative_to(ROOT).as_posix()
