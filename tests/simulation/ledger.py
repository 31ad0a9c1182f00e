"""The book of all seeds that were ever run: one line a run of the command, so that the next one goes on after it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "docs" / "simulation-ledger.jsonl"


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


def entries(book: Path = BOOK) -> list[Entry]:
    """Everything in the book, oldest first."""
    if not book.exists():
        return []
    return [msgspec.json.decode(line, type=Entry) for line in book.read_bytes().splitlines() if line]


def next_seed(book: Path = BOOK) -> int:
    """The first seed that nobody has run yet."""
    return max((entry.last for entry in entries(book)), default=0) + 1


def append(entry: Entry, book: Path = BOOK) -> None:
    """Write down one run."""
    with book.open("ab") as lines:
        lines.write(msgspec.json.encode(entry) + b"\n")


def commit() -> str:
    """The commit of the code, marked where the tree has changes that no commit knows."""
    head = _git("rev-parse", "--short=12", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no", "src", "packages", "tests")
    return head + ("+changes" if changes else "")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
