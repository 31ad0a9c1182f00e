"""Articles become products and stock, a thousand to a transaction; an import that was broken off is simply run again.

Whatever is already as the data has it is neither written nor said, and what was ever on stock is not filled up, so
that a second run changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from dovecote.database import Database
from dovecote.events import Cause, Traced
from dovecote.ids import new_trace_id
from ecom.catalogue.pace import Pace
from ecom.datasets.articles import CURRENCY, Article
from ecom.inventory import store as inventory
from ecom.product import catalogue
from ecom.product.domain import Product

BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Imported:
    """How far an import is: products looked at, those of them that it changed or made, and SKUs new on stock."""

    products: int = 0
    changed: int = 0
    stocked: int = 0

    @property
    def is_nothing_new(self) -> bool:
        """Whether all was there before."""
        return not self.changed and not self.stocked


@dataclass(frozen=True, slots=True)
class Importer:
    """Where articles go: the databases of the product service and of inventory, and what there is of a new SKU."""

    products: Database
    stock: Database
    units: int

    async def run(self, articles: Iterable[Article]) -> AsyncIterator[Imported]:
        """Import; yields how far it is after each batch, whose products and stock are then committed.

        Raises NothingLeaves where a relay runs and cannot send.
        """
        pace, because = Pace(self.products), Cause(new_trace_id())
        done, rest = Imported(), iter(articles)
        while batch := [product(each) for each in islice(rest, BATCH)]:
            await pace.admit(len(batch))
            # Side by side, for they do not touch each other; of one without the other the next run makes both.
            changed, stocked = await asyncio.gather(self._put(batch, because), self._stock(batch, because))
            done = Imported(done.products + len(batch), done.changed + changed, done.stocked + stocked)
            yield done

    async def _put(self, batch: Sequence[Product], because: Traced) -> int:
        async with self.products.transaction() as tx:
            return (await catalogue.put(tx, batch, because=because)).changed

    async def _stock(self, batch: Sequence[Product], because: Traced) -> int:
        async with self.stock.transaction() as tx:
            lines = [(each.id, self.units) for each in batch]
            return len(await inventory.put_first_stock(tx, lines, because=because))


def product(article: Article) -> Product:
    """An article as the product service has it; its id is its SKU."""
    return Product(
        article.id,
        article.name,
        article.category,
        article.brand,
        article.price,
        article.description,
        CURRENCY,
        sizes=article.sizes,
        active=article.active,
    )
