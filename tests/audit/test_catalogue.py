"""I19: what search and the price list say of products, broken in one place each; and what is no finding."""

from __future__ import annotations

import pytest

from ecom.audit import catalogue
from tests.audit.books import Books

STATE = ("I19", "search knows another state of a product")
CONTENTS = ("I19", "a document differs from its product")
PRICES = ("I19", "the price list differs from the products")


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of a few rows are read in several pages."""
    monkeypatch.setattr(catalogue, "PAGE_ROWS", 2)


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize(
    ("service", "script", "broken", "line"),
    [
        (
            "search",
            "DELETE FROM document WHERE product_id = 'a'",
            STATE,
            "a: the product is live at version 2, search has not there",
        ),
        (
            "search",
            "UPDATE document SET version = 1 WHERE product_id = 'a'",
            STATE,
            "a: the product is live at version 2, search has live at version 1",
        ),
        (
            "search",
            "UPDATE document SET version = NULL WHERE product_id = 'a'",
            STATE,
            "a: the product is live at version 2, search has live at version None",
        ),
        (
            "search",
            "UPDATE document SET deleted = true, hit = '' WHERE product_id = 'b'",
            STATE,
            "b: the product is live at version 1, search has deleted at version 1",
        ),
        (
            "search",
            "UPDATE document SET deleted = false WHERE product_id = 'gone'",
            STATE,
            "gone: the product is deleted at version 2, search has live at version 2",
        ),
        (
            "search",
            "UPDATE document SET version = 1 WHERE product_id = 'foreign'",
            STATE,
            "foreign: the product is not there, search has live at version 1",
        ),
        (
            "search",
            """INSERT INTO document SELECT (jsonb_populate_record(d, '{"product_id": "zz"}')).*
                 FROM document AS d WHERE product_id = 'a'""",
            STATE,
            "zz: the product is not there, search has live at version 2",
        ),
        ("search", "UPDATE document SET name = 'Tee' WHERE product_id = 'a'", CONTENTS, "a: name Tea, in search Tee"),
        (
            "search",
            "UPDATE document SET price = 3.21 WHERE product_id = 'a'",
            CONTENTS,
            "a: price 3.20, in search 3.21",
        ),
        (
            "search",
            "UPDATE document SET active = true WHERE product_id = 'b'",
            CONTENTS,
            "b: active False, in search True",
        ),
        (
            "order",
            "DELETE FROM price WHERE product_id = 'b'",
            PRICES,
            "b: the product is live at version 1, its price not there",
        ),
        (
            "order",
            "UPDATE price SET version = 1 WHERE product_id = 'gone'",
            PRICES,
            "gone: the product is deleted at version 2, its price deleted at version 1",
        ),
        (
            "order",
            "UPDATE price SET price = 3.3 WHERE product_id = 'a'",
            PRICES,
            "a: price 3.20, in the price list 3.3",
        ),
        (
            "order",
            "UPDATE price SET currency = 'EUR' WHERE product_id = 'b'",
            PRICES,
            "b: currency None, in the price list EUR",
        ),
        (
            "order",
            "UPDATE price SET active = false WHERE product_id = 'a'",
            PRICES,
            "a: active True, in the price list False",
        ),
    ],
)
async def test_a_copy_that_differs_is_the_only_finding(
    books: Books, service: str, script: str, broken: tuple[str, str], line: str
) -> None:
    """One row of one copy is changed: exactly its question finds it, and says what differs."""
    await books.run(service, script)
    assert await books.places() == {broken: [line]}


async def test_the_index_that_serves_is_the_one_compared(books: Books) -> None:
    """After a swap the other slot counts, whatever the first one holds."""
    await books.run("search", "UPDATE index_state SET live = 'b'")
    assert set(await books.places()) == {STATE}
    await books.run("search", "UPDATE document SET slot = 'b'")
    assert await books.places() == {}


async def test_a_product_that_never_told_of_a_change_is_found(books: Books) -> None:
    """Price, search and product all say version 3; no event ever did."""
    for service, table, key in (("product", "product", "id"), ("order", "price", "product_id")):
        await books.run(service, f"UPDATE {table} SET version = 3 WHERE {key} = 'a'")
    await books.run("search", "UPDATE document SET version = 3 WHERE product_id = 'a'")
    [(name, what)] = await books.places()
    assert (name, what) == ("I11", "a product and its events differ")


@pytest.mark.parametrize("foreign", [("product",), ("search",), ("product", "search")])
async def test_a_shop_beside_anothers_catalogue_is_audited_all_the_same(books: Books, foreign: tuple[str, ...]) -> None:
    """Product or search may be the original's: what concerns them is not asked, the rest is."""
    await books.run("inventory", "UPDATE stock SET available = available + 1 WHERE sku = 'a'")
    await books.run("search", "DELETE FROM document WHERE product_id = 'a'")
    for name in foreign:
        # What is not there is not asked.
        del books.services[name]
    assert {name for name, _ in await books.places()} == {"I2"}
