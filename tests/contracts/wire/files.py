"""Golden message values: ``theirs`` as a Java service with Jackson writes them, ``ours`` as this shop does.

A file is one Kafka value, whole, without a line feed at its end: ``<side>/<event type>/<name>.json``. It stays for
ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Value:
    """The value of one message."""

    event_type: str
    name: str
    bytes: bytes

    def __str__(self) -> str:
        return f"{self.event_type}/{self.name}"


def values(side: str) -> list[Value]:
    """All values of one side, in the order of their names."""
    paths = sorted((HERE / side).glob("*/*.json"))
    return [Value(path.parent.name, path.stem, path.read_bytes()) for path in paths]


THEIRS, OURS = values("theirs"), values("ours")
