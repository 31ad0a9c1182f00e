"""What the shop has to sell: the products of the baskets in its catalogue, in its price list, to be found, in stock."""

from __future__ import annotations

from collections.abc import Mapping

from dovecote import Cause, Service
from dovecote.ids import new_trace_id
from ecom.catalogue.importing import Importer
from ecom.datasets.articles import Articles
from ecom.demo import settling
from ecom.demo.display import Display
from ecom.demo.mix import PLENTY
from ecom.inventory import store as inventory

STOCK_BATCH = 2_000


async def fill_shop(
    services: Mapping[str, Service],
    articles: Articles,
    stock: Mapping[str, int],
    *,
    bootstrap: str,
    display: Display,
) -> None:
    """Put products and stock in through the services' own layers, and wait until order and search know them."""
    product, inventory_ = services["product"], services["inventory"]
    with display.bar("Filling the catalogue", len(articles)) as bar:
        async for done in Importer(product.database, inventory_.database, PLENTY).run(articles):
            bar(done.products)
    with display.waiting("Waiting for the price list and the search index"):
        readers = [services["order"], services["search"]]
        heard = await settling.until_heard(product, readers, bootstrap=bootstrap)
    display.tick(f"{len(articles):,} products are in the catalogue and can be found", well=heard)
    with display.step("Filling the shelves", f"{len(stock):,} SKUs are in stock"):
        await put_stock(inventory_, stock)


async def put_stock(service: Service, stock: Mapping[str, int]) -> None:
    """Set the shelves to what a run needs, whatever was there before."""
    cause = Cause(new_trace_id())
    lines = sorted(stock.items())
    for first in range(0, len(lines), STOCK_BATCH):
        async with service.database.transaction() as tx:
            await inventory.put_stock(tx, lines[first : first + STOCK_BATCH], because=cause)
