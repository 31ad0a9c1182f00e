"""A disagreement that the contract check found: where it is, what is wrong, and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Problem:
    """One disagreement. ``pointer`` is the JSON pointer into the file, empty for the whole of it."""

    file: str
    pointer: str
    wrong: str
    mend: str

    def __str__(self) -> str:
        place = f"{self.file}#{self.pointer}" if self.pointer else self.file
        return f"{place}: {self.wrong}. Mend: {self.mend}."


def pointer(*parts: str | int) -> str:
    """A JSON pointer (RFC 6901) of its unescaped parts: ``/events/order.created.v1/consumers/0``."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def shown(path: Path, root: Path) -> str:
    """A file as a reader of a finding knows it: relative to the project's root where it is below it."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is most like a wrong one, as the end of a sentence; empty where none is like it."""
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f"; the nearest is {near[0]}" if near else ""
