"""Every product said once more, for readers whose topics no longer hold the last event of each."""

from __future__ import annotations

from collections.abc import AsyncIterator

from dovecote.database import Database
from dovecote.events import Cause
from dovecote.ids import new_trace_id
from ecom.catalogue.pace import Pace
from ecom.product import catalogue

BATCH = 1_000


async def announce(products: Database) -> AsyncIterator[int]:
    """Say all products again under new versions; yields how many so far, after each batch that is committed.

    Raises NothingLeaves where a relay runs and cannot send.
    """
    pace, because = Pace(products), Cause(new_trace_id())
    count, last = 0, ""
    while True:
        await pace.admit(BATCH)
        async with products.transaction() as tx:
            said = await catalogue.announce(tx, after=last, limit=BATCH, because=because)
        if not said:
            return
        count, last = count + len(said), said[-1]
        yield count
