"""Contracts to be spoilt by a test: a JSON file changed in place, and how a finding is looked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from dovecote.contracts.problem import Problem

Break = Callable[[dict[str, Any]], object]


def edit(path: Path, change: Break) -> None:
    """Change a JSON file in place."""
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def found(problems: Iterable[Problem], file: str, pointer: str, sentence: str) -> Problem:
    """The problem of a file at a pointer whose sentence holds some words; every problem says how to mend it."""
    told = list(problems)
    assert all(problem.mend and problem.file for problem in told)
    fitting = [p for p in told if p.file.endswith(file) and p.pointer == pointer and sentence in p.wrong]
    assert fitting, "\n".join(map(str, told)) or "no problem at all"
    return fitting[0]
