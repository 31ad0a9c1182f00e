"""What search does when it hears of a product: its document follows. Known to the described system as
ProductIndexConsumer.
"""

from __future__ import annotations

from collections.abc import Sequence

from dovecote.database import Transaction
from dovecote.events import Delivery
from dovecote.handlers import Handlers
from ecom.search.domain import Change, Deleted, Upserted, deleted, upserted
from ecom.search.index import Index


def hears(index: Index) -> Handlers:
    """The handlers of the service, on an index."""
    handlers = Handlers()

    @handlers.on(Upserted)
    async def index_products(tx: Transaction, news: Sequence[Delivery[Upserted]]) -> None:
        """Each product is found as it is said here, unless something later is known."""
        changes: list[Change] = []
        for each in news:
            try:
                changes.append(upserted(each.event, each.occurred_at))
            except ValueError as error:
                tx.park(each, str(error))
        await index.apply(tx, changes)

    @handlers.on(Deleted)
    async def forget_products(tx: Transaction, news: Sequence[Delivery[Deleted]]) -> None:
        """Each product is gone; a tombstone remembers it, so that late news does not bring it back."""
        await index.apply(tx, [deleted(each.event, each.occurred_at) for each in news])

    return handlers
