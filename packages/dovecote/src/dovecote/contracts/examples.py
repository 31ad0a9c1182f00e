"""Golden examples of events: payloads in files, which every version of writer and readers must go on understanding."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

EXAMPLES = "examples"


def golden(folder: Path) -> Mapping[str, Mapping[str, bytes]]:
    """The payloads below ``examples/<event type>/<name>.json`` of a contracts' folder: event type → name → bytes."""
    found: dict[str, dict[str, bytes]] = {}
    for path in sorted((folder / EXAMPLES).glob("*/*.json")):
        found.setdefault(path.parent.name, {})[path.stem] = path.read_bytes()
    return found
