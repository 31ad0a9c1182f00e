"""What the rest of the service knows of an index. PostgreSQL stands behind it; a search cluster could."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dovecote.database import Database, Transaction
from ecom.search.domain import Ask, Change, Found


class Index(Protocol):
    """Documents that can be changed and found."""

    async def apply(self, tx: Transaction, changes: Sequence[Change]) -> int:
        """Let changes have their effect, each unless later news of its product is known already; says how many had.

        They reach the index that serves and, while one is being rebuilt beside it, that one as well.
        """
        ...

    async def search(self, database: Database, ask: Ask) -> Found:
        """The products that fit, best first or as sorted."""
        ...

    async def suggest(self, database: Database, typed: str, size: int) -> list[str]:
        """Names that go on as typed."""
        ...
