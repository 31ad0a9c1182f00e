"""Tables made once and kept: what takes seconds to work out of a wheel's file is mapped in milliseconds after."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc


def kept(place: Path | None, source: Path, make: Callable[[], pa.Table]) -> pa.Table:
    """The table kept at a place, made anew where it is missing or older than what it is made from."""
    if place is None:
        return make()
    if place.exists() and place.stat().st_mtime >= source.stat().st_mtime:
        with pa.memory_map(str(place)) as file:
            return pa.ipc.open_file(file).read_all()
    table = make()
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished = place.with_suffix(f".{os.getpid()}")
    with pa.OSFile(str(unfinished), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    unfinished.replace(place)
    return table
