"""A SQL statement as a value: constant text with one address, so that a test can ask PostgreSQL to PREPARE it."""

from __future__ import annotations

import textwrap
from typing import Self


class Sql(str):
    """Constant SQL text. Tables are unqualified: the connection's search_path is the service's schema."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        return super().__new__(cls, textwrap.dedent(text).strip())
