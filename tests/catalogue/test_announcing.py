"""All products said again: a new version and a new event for each, and nothing else of it changes."""

from __future__ import annotations

import pytest

from dovecote.database import Database
from dovecote.events import Cause
from ecom.catalogue import announcing
from ecom.catalogue.announcing import announce
from ecom.catalogue.importing import product
from ecom.product import catalogue
from tests.catalogue.stories import article, left

CAUSE = Cause("0" * 32)


async def test_every_product_is_said_once_more(
    products: Database, stock: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In batches, each product once, a deleted one not at all; price, state and time of change stay."""
    monkeypatch.setattr(announcing, "BATCH", 10)
    async with products.transaction() as tx:
        await catalogue.put(tx, [product(article(number)) for number in range(25)], because=CAUSE)
    async with products.transaction() as tx:
        await catalogue.remove(tx, ["000007"], because=CAUSE)
    before = await left(products, stock)
    assert [count async for count in announce(products)] == [10, 20, 24]
    after = await left(products, stock)
    assert [row[1] for row in after.products] == [2] * 24
    assert [(row[0], *row[2:]) for row in after.products] == [(row[0], *row[2:]) for row in before.products]
    assert sorted(after.events[25:]) == [(row[0], 2) for row in before.products]


async def test_an_empty_catalogue_says_nothing(products: Database) -> None:
    """No product, no event, no batch."""
    assert [count async for count in announce(products)] == []
