"""JSON files of contracts, read so that what is wrong with one is a finding and never an exception."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dovecote.contracts.problem import Problem


def read(path: Path, file: str) -> tuple[Any, Problem | None]:
    """The document in a file, or None and what is wrong with it; ``file`` is its name in the finding."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None, Problem(file, "", "it does not exist", "restore it, or take out what names it")
    except (OSError, UnicodeDecodeError) as error:
        return None, Problem(file, "", f"it cannot be read ({error})", "make it a readable file in UTF-8")
    try:
        return json.loads(text, object_pairs_hook=_once), None
    except (ValueError, RecursionError) as error:
        return None, Problem(file, "", f"it is not JSON ({error})", "restore it as JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are different; of two equal ones, each reader would take the one it likes."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice in an object")
    return found
