"""Lists of products on a real database: filters, orders, pages, and the way from product to product by id."""

from __future__ import annotations

from decimal import Decimal

import httpx
import pytest

from dovecote.database import Database
from dovecote.sql import Sql
from ecom.product import list_store
from tests.product.stories import product, put, remove

LIST = "/api/products"
SHELF = [
    product("p1", name="Crème Brûlée", category="Dessert", brand="Private", price=Decimal("3.50")),
    product("p2", name="thin pizza", category="Pizza", brand="National", price=Decimal("4.99"), active=False),
    product("p3", name="Thick Pizza", category="Pizza", brand="Private", price=Decimal(10)),
    product("p4", name="Apple", category="Fruit", brand="National", price=Decimal("0.25")),
    product("p5", name="apple", category="Fruit", brand="Private", price=Decimal("0.3")),
    product("p6", name="100% Juice_", category="Drinks", brand="National", price=Decimal(10)),
]


@pytest.fixture(autouse=True)
async def shelf(database: Database) -> None:
    """Six products, put one after the other (the last two together), and a seventh that is gone."""
    for each in [*SHELF[:4], product("p0", name="Aardvark")]:
        await put(database, each)
    await put(database, *SHELF[4:])
    await remove(database, "p0")


async def ids(client: httpx.AsyncClient, **asked: str | int) -> str:
    """The numbers of the products on a page, in their order."""
    answer = await client.get(LIST, params=asked)
    assert answer.status_code == 200, answer.text
    return "".join(each["id"].removeprefix("p") for each in answer.json()["content"])


@pytest.mark.parametrize(
    ("key", "up"),
    [
        ("name", "645132"),
        ("price", "451236"),
        ("category", "164523"),
        ("brand", "246135"),
        ("active", "213456"),
        ("updatedAt", "123456"),
    ],
)
async def test_every_key_of_the_whitelist_sorts_both_ways(client: httpx.AsyncClient, key: str, up: str) -> None:
    """Names without case and accents, prices as numbers, no before yes; equals by id; down is up reversed."""
    assert await ids(client, sortBy=key) == up
    assert await ids(client, sortBy=key, direction="asc") == up
    assert await ids(client, sortBy=key, direction="DESC") == up[::-1]


async def test_a_list_is_sorted_by_name_unless_said_otherwise(client: httpx.AsyncClient) -> None:
    """No key, or an empty one, is the name."""
    assert await ids(client) == await ids(client, sortBy="") == "645132"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"category": "Pizza"}, "32"),
        ({"brand": "National"}, "642"),
        ({"category": "Pizza", "brand": "National"}, "2"),
        ({"category": "pizza"}, ""),
        ({"q": "PIZZA"}, "32"),
        ({"q": "creme"}, "1"),
        ({"q": "BRÛ"}, "1"),
        ({"q": "%"}, "6"),
        ({"q": "_"}, "6"),
        ({"q": "'; DROP TABLE product; --"}, ""),
        ({"q": "\\"}, ""),
        ({"q": "", "category": "", "brand": ""}, "645132"),
        ({"q": "apple", "brand": "Private"}, "5"),
        ({"q": "aardvark"}, ""),
        ({"unknown": "7"}, "645132"),
    ],
)
async def test_filters(client: httpx.AsyncClient, asked: dict[str, str], found: str) -> None:
    """Category and brand as they are, q anywhere in the name without case and accents; nothing in them is syntax."""
    assert await ids(client, **asked) == found
    by_id = await ids(client, **asked, after="")
    assert by_id == "".join(sorted(found))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, (6, 6, 1, 0, 20, True, True)),
        ({"size": 4}, (4, 6, 2, 0, 4, True, False)),
        ({"size": 4, "page": 1}, (2, 6, 2, 1, 4, False, True)),
        ({"size": 3}, (3, 6, 2, 0, 3, True, False)),
        ({"size": 3, "page": 1}, (3, 6, 2, 1, 3, False, True)),
        ({"size": 3, "page": 7}, (0, 6, 2, 7, 3, False, True)),
        ({"size": 1, "category": "Pizza"}, (1, 2, 2, 0, 1, True, False)),
        ({"category": "None"}, (0, 0, 0, 0, 20, True, True)),
        ({"size": 200}, (6, 6, 1, 0, 200, True, True)),
    ],
)
async def test_a_page_says_where_it_is(
    client: httpx.AsyncClient, asked: dict[str, str | int], expected: tuple[int | bool, ...]
) -> None:
    """The wire contract's fields and no others, at the first page, the last, between them, and beyond the end."""
    body = (await client.get(LIST, params=asked)).json()
    content = body.pop("content")
    names = ("totalElements", "totalPages", "number", "size", "first", "last")
    assert (len(content), *(body.pop(name) for name in names)) == expected
    assert body == {}


async def test_pages_together_are_the_list(client: httpx.AsyncClient) -> None:
    """Page after page, no product comes twice and none is left out."""
    for key in list_store.ORDERS:
        pages = [await ids(client, sortBy=key, size=2, page=number) for number in range(4)]
        assert "".join(pages) == await ids(client, sortBy=key)


async def test_from_product_to_product_by_id(client: httpx.AsyncClient, database: Database) -> None:
    """after= begins, next goes on and is null at the end; what is made or deleted meanwhile moves nobody else."""
    first = (await client.get(LIST, params={"after": "", "size": 2})).json()
    assert [each["id"] for each in first.pop("content")] == ["p1", "p2"]
    assert first == {"size": 2, "first": True, "last": False, "next": "p2"}
    await remove(database, "p2", "p3")
    await put(database, product("p15"), product("p44"))
    second = (await client.get(LIST, params={"after": "p2", "size": 2})).json()
    assert [each["id"] for each in second["content"]] == ["p4", "p44"]
    assert (second["next"], second["first"], second["last"]) == ("p44", False, False)
    third = (await client.get(LIST, params={"after": "p44", "size": 2})).json()
    assert [each["id"] for each in third["content"]] == ["p5", "p6"]
    assert (third["next"], third["last"]) == (None, True)
    assert (await client.get(LIST, params={"after": "p6"})).json()["content"] == []
    assert await ids(client, after="", category="Fruit", size=1) == "4"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=-1", "page"),
        ("page=two", "page"),
        ("page=1.5", "page"),
        ("page=", "page"),
        ("page=" + "9" * 30, "page"),
        ("page=" + "9" * 5000, "page"),
        ("page=5001&size=200", "page"),
        ("size=0", "size"),
        ("size=201", "size"),
        ("size=-1", "size"),
        ("size=all", "size"),
        ("sortBy=colour", "sortBy"),
        ("sortBy=id;DROP%20TABLE%20product", "sortBy"),
        ("direction=up", "direction"),
        ("q=" + "x" * 201, "q"),
        ("q=a%00b", "q"),
        ("category=a%0Ab", "category"),
        ("brand=" + "x" * 201, "brand"),
        ("after=%00", "after"),
        ("after=" + "x" * 201, "after"),
        ("after=a&page=1", "after"),
        ("after=a&sortBy=name", "after"),
    ],
)
async def test_what_cannot_be_listed_names_its_parameter(client: httpx.AsyncClient, query: str, field: str) -> None:
    """Each bound of each parameter is 400 with its name."""
    answer = await client.get(f"{LIST}?{query}")
    assert (answer.status_code, answer.json().get("field")) == (400, field), answer.text


async def test_a_wrong_key_is_told_the_right_ones(client: httpx.AsyncClient) -> None:
    """The refusal lists the whitelist."""
    detail = (await client.get(LIST, params={"sortBy": "colour"})).json()["detail"]
    assert "name, price, category, brand, active, updatedAt" in detail


@pytest.mark.parametrize("query", ["page=0&page=1", "q=%FF%FE", "q=a&q=b", "size=2&size=3", "&&==", "q=%25%27%22%5C"])
async def test_odd_queries_are_answered(client: httpx.AsyncClient, query: str) -> None:
    """What is merely odd is answered or refused, never an error of ours."""
    assert (await client.get(f"{LIST}?{query}")).status_code in {200, 400}


async def test_the_last_page_that_may_be_asked_for(client: httpx.AsyncClient) -> None:
    """The bound itself is allowed."""
    assert (await client.get(LIST, params={"page": 5000, "size": 200})).status_code == 200


EXPLAIN_NAME = Sql("EXPLAIN SELECT * FROM listed(NULL, NULL, NULL) ORDER BY name_folded DESC, id DESC LIMIT 20")
EXPLAIN_CATEGORY = Sql("EXPLAIN SELECT * FROM listed('Pizza', NULL, NULL) WHERE id > 'p7' ORDER BY id LIMIT 20")
ANALYZE = Sql("ANALYZE product")


async def test_a_list_walks_the_index_of_its_order(database: Database) -> None:
    """PostgreSQL looks through the function: a page of a large catalogue is not sorted out of all of it."""
    await put(database, *(product(f"q{number}", category=f"c{number % 50}") for number in range(3000)))
    async with database.transaction() as tx:
        await tx.execute(ANALYZE)
        by_name = "\n".join(row["QUERY PLAN"] for row in await tx.fetch(EXPLAIN_NAME))
        by_category = "\n".join(row["QUERY PLAN"] for row in await tx.fetch(EXPLAIN_CATEGORY))
    assert "Index Scan Backward using product_by_name" in by_name
    assert "using product_by_category" in by_category
    assert "Sort" not in by_name + by_category
