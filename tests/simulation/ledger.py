"""The books of all that was ever run: of seeds a line a run of the command, of small worlds a line a scenario.

The next run of the command goes on after them.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TypeVar

import msgspec

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "docs" / "simulation-ledger.jsonl"
SMALL_BOOK = ROOT / "docs" / "small-worlds.jsonl"
T = TypeVar("T")


class Entry(msgspec.Struct, frozen=True):
    """What was run, of which code, and what came of it; ``digest`` is one for the traces of all its seeds."""

    commit: str
    command: str
    first: int
    last: int
    orders: int
    steps: int
    seconds: int
    digest: str
    violations: tuple[int, ...] = ()


class Whole(msgspec.Struct, frozen=True):
    """A scenario of small worlds that was run to its end: how many worlds, how many runs besides, which were wrong."""

    commit: str
    command: str
    scenario: str
    orders: int
    duplicates: int
    crashes: int
    redundant: int
    seconds: int
    violations: tuple[str, ...] = ()


def entries(book: Path = BOOK) -> list[Entry]:
    """All runs of seeds, oldest first."""
    return _read(book, Entry)


def next_seed(book: Path = BOOK) -> int:
    """The first seed that nobody has run yet."""
    return max((entry.last for entry in entries(book)), default=0) + 1


def wholes(book: Path = SMALL_BOOK) -> list[Whole]:
    """All scenarios that were run to their end, oldest first."""
    return _read(book, Whole)


def append(entry: Entry | Whole) -> None:
    """Write down one run."""
    with (BOOK if isinstance(entry, Entry) else SMALL_BOOK).open("ab") as lines:
        lines.write(msgspec.json.encode(entry) + b"\n")


def _read(book: Path, kind: type[T]) -> list[T]:
    if not book.exists():
        return []
    return [msgspec.json.decode(line, type=kind) for line in book.read_bytes().splitlines() if line]


def commit() -> str:
    """The commit of the code, marked where the tree has changes that no commit knows."""
    head = _git("rev-parse", "--short=12", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no", "src", "packages", "tests")
    return head + ("+changes" if changes else "")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
