"""The demo's supply: once it is in, price list and index have it already, and shelves hold what they should."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from dovecote.sql import Sql
from ecom.datasets import articles
from ecom.demo.display import Display
from ecom.demo.mix import PLENTY
from ecom.demo.supply import fill_shop
from ecom.local import Servers
from ecom.running import run_here
from ecom.shop import Shop

PRICES = Sql("SELECT count(*) FROM price WHERE active")
DOCUMENTS = Sql("SELECT count(*) FROM document")
LEVELS = Sql("SELECT available, count(*) AS skus FROM stock GROUP BY available ORDER BY available")
VERSIONS = Sql("SELECT max(version) FROM product")
COUNT = 1_500


async def test_what_is_filled_in_can_be_found_and_bought_at_once(
    embedded: Servers, database_url: str, prefix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No waiting after it: all is heard. A second time changes no product, and sets the shelves as they were."""
    products = articles.products(Path(tmp_path_factory.mktemp("articles"))).first(COUNT)
    stock = {each.id: 3 if number == 0 else PLENTY for number, each in enumerate(products)}
    shop = Shop.of(["order", "inventory", "product", "search"], os.environ, prefix=prefix)
    on = Servers(embedded.home, database_url, embedded.bootstrap)
    text = io.StringIO()
    try:
        async with run_here(shop, on, address="127.0.0.1", port=0) as here:
            services = {name: service.database for name, service in here.services.items()}
            for _ in range(2):
                await fill_shop(
                    here.services, products, stock, bootstrap=on.bootstrap, display=Display(Console(file=text))
                )
                assert await services["order"].fetchval(PRICES) == COUNT
                assert await services["search"].fetchval(DOCUMENTS) == COUNT
                levels = {row["available"]: row["skus"] for row in await services["inventory"].fetch(LEVELS)}
                assert levels == {3: 1, PLENTY: COUNT - 1}
            assert await services["product"].fetchval(VERSIONS) == 1
    finally:
        await shop.drop(on.database_url, on.bootstrap)
    assert text.getvalue().count(f"✓ {COUNT:,} products are in the catalogue and can be found") == 2
