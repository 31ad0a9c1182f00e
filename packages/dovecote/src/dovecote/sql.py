"""A SQL statement as a value: constant text with one address, so that a test can ask PostgreSQL to PREPARE it."""

from __future__ import annotations

import textwrap
from typing import Any


class Sql:
    """Constant SQL text. Tables are unqualified: the connection's search_path is the service's schema."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        # asyncpg takes nothing but an exact str, and keeps its prepared statements by it.
        self.text = textwrap.dedent(text).strip()

    def __repr__(self) -> str:
        return f"Sql({self.text.splitlines()[0]}…)"


def one_or_all(column: list[Any]) -> list[Any]:
    """A column of which all values are the same, as that one value: the driver encodes a text in 0.3 µs, one by one.

    The statement must say what stands for the missing ones, e.g. ``coalesce(new.kind, ($1::text[])[1])``.
    """
    return column[:1] if column.count(column[0]) == len(column) else column
