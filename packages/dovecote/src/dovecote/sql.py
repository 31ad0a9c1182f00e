"""A SQL statement as a value: constant text with one address, so that a test can ask PostgreSQL to PREPARE it."""

from __future__ import annotations

import textwrap


class Sql:
    """Constant SQL text. Tables are unqualified: the connection's search_path is the service's schema."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        # asyncpg takes nothing but an exact str, and keeps its prepared statements by it.
        self.text = textwrap.dedent(text).strip()

    def __repr__(self) -> str:
        return f"Sql({self.text.splitlines()[0]}…)"
