"""The index in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

from dovecote.database import Transaction
from ecom.search import store
from ecom.search.domain import Change, latest


class PostgresIndex:
    """See `ecom.search.index.Index`."""

    async def apply(self, tx: Transaction, changes: Sequence[Change]) -> int:
        """Guarded, into every slot that must know."""
        state = await store.hold_state(tx)
        [live, *_] = await store.put(tx, state.slots, latest(changes))
        return live
