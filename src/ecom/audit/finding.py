"""What the audit says: which invariant is broken, how often, and where to look first."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

ROWS_MAX = 10


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A broken invariant; ``rows`` is a sample of the ``count`` places where it is."""

    invariant: str
    what: str
    count: int
    rows: tuple[str, ...]


def finding(invariant: str, what: str, rows: Sequence[str]) -> Finding:
    """A finding with its first rows, in an order that two runs share."""
    ordered = sorted(rows)
    return Finding(invariant=invariant, what=what, count=len(ordered), rows=tuple(ordered[:ROWS_MAX]))
