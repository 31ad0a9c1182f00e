"""Articles become products and stock through the services' layers: broken off and gone on with, and once only."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from dovecote.database import Database
from dovecote.events import Cause
from ecom.catalogue import importing
from ecom.catalogue.importing import Imported, Importer
from ecom.datasets.articles import Article
from ecom.inventory.store import put_stock
from ecom.product import catalogue
from tests.catalogue.stories import Left, article, left

CAUSE = Cause("0" * 32)
UNITS = 7


async def run(importer: Importer, articles: Sequence[Article]) -> Imported:
    """A whole import."""
    return [done async for done in importer.run(articles)][-1]


@pytest.fixture
def importer(products: Database, stock: Database, monkeypatch: pytest.MonkeyPatch) -> Importer:
    """An importer whose batches are small."""
    monkeypatch.setattr(importing, "BATCH", 10)
    return Importer(products, stock, UNITS)


async def test_each_article_is_a_product_an_event_and_stock(
    importer: Importer, products: Database, stock: Database
) -> None:
    """One row, one version, one event and one movement for each; what costs nothing is there and not for sale."""
    articles = [*(article(number) for number in range(25)), article(99, "0")]
    assert await run(importer, articles) == Imported(26, 26, 26)
    found = await left(products, stock)
    assert [row[:2] for row in found.products] == [(each.id, 1) for each in articles]
    assert [row[2:4] for row in found.products] == [(each.price, each.active) for each in articles]
    assert sorted(found.events) == [(each.id, 1) for each in articles]
    assert found.levels == [(each.id, UNITS, 0) for each in articles]
    assert sorted(found.movements) == [(each.id, UNITS) for each in articles]


async def test_a_second_run_changes_nothing(importer: Importer, products: Database, stock: Database) -> None:
    """No version, no event, no movement, not even a time of change; and it says so."""
    articles = [article(number) for number in range(25)]
    await run(importer, articles)
    before = await left(products, stock)
    again = await run(importer, articles)
    assert (again, again.is_nothing_new) == (Imported(25, 0, 0), True)
    assert await left(products, stock) == before


async def test_an_import_that_was_broken_off_is_gone_on_with(
    importer: Importer, products: Database, stock: Database
) -> None:
    """After two of three batches the import ends; the next one does what is missing, and all is as if done at once."""
    articles = [article(number) for number in range(25)]
    async for done in importer.run(articles):
        if done.products == 20:
            break
    assert len((await left(products, stock)).products) == 20
    assert await run(importer, articles) == Imported(25, 5, 5)
    whole = await left(products, stock)
    assert [row[1] for row in whole.products] == [1] * 25
    assert len(whole.events) == len(whole.levels) == len(whole.movements) == 25


async def test_products_without_their_stock_get_it(importer: Importer, products: Database, stock: Database) -> None:
    """A process that dies between a batch's products and its stock leaves products; the next run stocks them."""
    articles = [article(number) for number in range(10)]
    async with products.transaction() as tx:
        await catalogue.put(tx, [importing.product(each) for each in articles], because=CAUSE)
    assert await run(importer, articles) == Imported(10, 0, 10)
    assert len((await left(products, stock)).levels) == 10


async def test_what_is_sold_or_was_on_stock_is_not_filled_up(
    importer: Importer, products: Database, stock: Database
) -> None:
    """A level that somebody set, and one that has come down to nothing, stay; only what was never there is filled."""
    async with stock.transaction() as tx:
        await put_stock(tx, [("000001", 3), ("000002", 0)], because=CAUSE)
    assert await run(importer, [article(number) for number in range(4)]) == Imported(4, 4, 2)
    found = await left(products, stock)
    assert [row[1] for row in found.levels] == [UNITS, 3, 0, UNITS]
    assert len(found.movements) == 3


async def test_only_what_differs_is_written(importer: Importer, products: Database, stock: Database) -> None:
    """A price that the data has otherwise is set and said; a deleted product comes back and goes on counting."""
    articles = [article(number) for number in range(5)]
    await run(importer, articles)
    async with products.transaction() as tx:
        await catalogue.remove(tx, ["000003"], because=CAUSE)
    articles[1] = replace(articles[1], price=articles[1].price * 2)
    assert await run(importer, articles) == Imported(5, 2, 0)
    found = await left(products, stock)
    assert [row[1] for row in found.products] == [1, 2, 1, 3, 1]
    assert found.products[1][2] == articles[1].price


async def test_two_imports_at_once_do_not_mind_each_other(
    importer: Importer, products: Database, stock: Database
) -> None:
    """Each product is made by one of the two, whichever comes first, and nothing is made twice."""
    articles = [article(number) for number in range(200)]
    one, other = await asyncio.gather(run(importer, articles), run(importer, articles[::-1]))
    assert one.changed + other.changed == one.stocked + other.stocked == 200
    found: Left = await left(products, stock)
    assert [row[1] for row in found.products] == [1] * 200
    assert len(found.events) == len(found.movements) == 200
    assert {row[1] for row in found.levels} == {UNITS}
