"""Search's HTTP on a real database: the wire contract's answers, and bad input that is never a 500."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from dovecote.database import Database
from ecom.search.postgres import PostgresIndex
from tests.search.stories import product, shelve

PRODUCTS = "/api/search/products"
INDEX = "/api/search/index/products"


def body(product_id: str, name: str = "Green tea", **fields: Any) -> dict[str, Any]:
    """A product as an operator sends it."""
    return {"productId": product_id, "name": name, "price": 2.50, "category": "Tea", "brand": "Leaf", **fields}


async def test_the_answer_is_the_wire_contracts(
    client: httpx.AsyncClient, database: Database, index: PostgresIndex
) -> None:
    """Every field of a product and of the page, the price with its digits; facets and exactness only where they say."""
    change = product(
        "1",
        "Crème “brûlée” \\ 12 OZ",
        price="12.50",
        description="Rich",
        colors=("red",),
        sizes=("12 OZ",),
        category="Desserts",
        brand="Leaf",
    )
    await shelve(database, index, change, product("2", "Tea", description=None, active=False))
    answer = await client.get(PRODUCTS, params={"q": "creme", "page": 0, "size": 5})
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json() == {
        "content": [
            {
                "productId": "1",
                "name": "Crème “brûlée” \\ 12 OZ",
                "description": "Rich",
                "category": "Desserts",
                "brand": "Leaf",
                "price": 12.5,
                "colors": ["red"],
                "sizes": ["12 OZ"],
                "active": True,
                "updatedAt": "2026-02-03T04:05:06.789000Z",
            }
        ],
        "totalElements": 1,
        "page": 0,
        "size": 5,
    }
    assert '"price":12.50' in answer.text
    inactive = await client.get(PRODUCTS, params={"q": "tea", "activeOnly": "false", "facets": "true"})
    assert inactive.json()["content"][0]["description"] is None
    assert inactive.json()["facets"] == {
        "category": [{"value": "Groceries", "count": 1}],
        "brand": [{"value": "National", "count": 1}],
    }
    assert (await client.get(PRODUCTS, params={"q": "tea"})).json()["content"] == []


async def test_products_are_sorted_and_filtered_as_asked(
    client: httpx.AsyncClient, database: Database, index: PostgresIndex
) -> None:
    """Each key in both directions; an unknown key is the score, whose direction does not matter."""
    names = {"1": ("Tea b", "3"), "2": ("Tea a", "1"), "3": ("Tea c", "2")}
    await shelve(
        database, index, *(product(key, name, price=price, later=int(key)) for key, (name, price) in names.items())
    )

    async def listed(**params: str) -> str:
        answer = await client.get(PRODUCTS, params={"q": "tea", **params})
        return "".join(each["productId"] for each in answer.json()["content"])

    assert await listed(sortBy="price") == "132"
    assert await listed(sortBy="price", direction="asc") == "231"
    assert await listed(sortBy="name", direction="ASC") == "213"
    assert await listed(sortBy="updatedAt", direction="desc") == "321"
    assert await listed(sortBy="whatever") == await listed(direction="asc") == await listed()
    assert await listed(sortBy="price", priceMin="1.5", priceMax="2") == "3"


async def test_operators_index_and_remove(client: httpx.AsyncClient) -> None:
    """One, many, an id under either name; the last of several counts; removed is not found; each says how many."""
    assert (await client.post(INDEX, json=body("1"))).json() == {"indexed": 1}
    many = [{"id": "2", "name": "Black tea", "price": "3"}, body("1", "Old"), body("1", "White tea")]
    bulk = await client.post(f"{INDEX}/bulk", json=many)
    assert (bulk.status_code, bulk.json()) == (200, {"indexed": 2})
    names = [each["name"] for each in (await client.get(PRODUCTS, params={"q": "tea"})).json()["content"]]
    assert sorted(names) == ["Black tea", "White tea"]
    assert (await client.delete(f"{INDEX}/1")).status_code == 204
    assert (await client.delete(f"{INDEX}/never-seen")).status_code == 204
    names = [each["name"] for each in (await client.get(PRODUCTS)).json()["content"]]
    assert names == ["Black tea"]


async def test_an_operators_old_version_changes_nothing(client: httpx.AsyncClient) -> None:
    """The guard is the events': what is known to be later stays."""
    await client.post(INDEX, json=body("1", version=3))
    assert (await client.post(INDEX, json=body("1", "Other", version=2))).json() == {"indexed": 0}
    assert (await client.get(PRODUCTS, params={"q": "green"})).json()["totalElements"] == 1


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"size": "0"}, "size"),
        ({"size": "201"}, "size"),
        ({"size": "many"}, "size"),
        ({"page": "-1"}, "page"),
        ({"page": "501", "size": "20"}, "page"),
        ({"page": "99999999999999999999"}, "page"),
        ({"priceMin": "-0.01"}, "priceMin"),
        ({"priceMax": "-1"}, "priceMax"),
        ({"priceMin": "NaN"}, "priceMin"),
        ({"priceMin": "1e999999999"}, "priceMin"),
        ({"priceMin": "cheap"}, "priceMin"),
        ({"priceMin": "3", "priceMax": "2"}, "priceMin"),
        ({"activeOnly": "perhaps"}, "activeOnly"),
        ({"q": "x" * 201}, "q"),
        ({"q": "word " * 2048}, "q"),
        ({"category": "x" * 201}, "category"),
        ({"q": "a\0b"}, "q"),
        ({"q": "a\tb"}, "q"),
        ({"brand": "\x7f"}, "brand"),
        ({"category": "\x85"}, "category"),
    ],
)
async def test_parameters_out_of_bounds_are_refused(
    client: httpx.AsyncClient, params: dict[str, str], field: str
) -> None:
    """400, and the problem names the parameter."""
    answer = await client.get(PRODUCTS, params=params)
    assert (answer.status_code, answer.json().get("field")) == (400, field), answer.text


@pytest.mark.parametrize(
    "query",
    [
        quote("'; DROP TABLE document; --"),
        quote("' OR '1'='1"),
        quote("& | ! : * ' \\ <-> ()"),
        quote("%_%\\"),
        "%ED%A0%80",  # half of a surrogate pair, which UTF-8 has not
        "%FF%FE",
        "%F0%9F%8D%B5",
        quote("\u202e\ufeff\u0301"),
        quote("a" * 200),
        quote("a " * 100),
        quote("1 2 3 " * 33),
        quote("\u0130" * 200),
        quote("ŉ" * 200),
        "+" * 150,
    ],
)
async def test_whatever_is_typed_finds_something_or_nothing(
    client: httpx.AsyncClient, database: Database, index: PostgresIndex, query: str
) -> None:
    """Signs, SQL, broken UTF-8, and words without end: an answer, and the catalogue is as it was."""
    await shelve(database, index, product("1", "Green tea"))
    for path in (PRODUCTS, "/api/search/autocomplete"):
        for more in ("", "&sortBy=name", f"&category={query}", "&facets=true"):
            answer = await client.get(f"{path}?q={query}{more if path == PRODUCTS else ''}")
            assert answer.status_code == 200, answer.text
    assert (await client.get(PRODUCTS, params={"q": "green tea"})).json()["totalElements"] == 1


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"name": "Tea", "price": 1}, "productId"),
        (body("1", price=-1), "price"),
        (body("1", price="NaN"), "price"),
        (body("1", price="1e400"), "price"),
        (body("x" * 201), "productId"),
        (body(""), "productId"),
        ({"productId": "1", "price": 1}, "name"),
        (body("1", version="one"), "version"),
        (body("1", version=2**63), "version"),
        (body("1", sizes="12 OZ"), "sizes"),
    ],
)
async def test_products_that_are_none_are_refused(client: httpx.AsyncClient, sent: dict[str, Any], field: str) -> None:
    """400 naming the field, for one and in bulk; nothing of a bulk with one such product is indexed."""
    one = await client.post(INDEX, json=sent)
    assert (one.status_code, one.json().get("field")) == (400, field), one.text
    bulk = await client.post(f"{INDEX}/bulk", json=[body("good"), sent])
    assert bulk.status_code == 400
    assert bulk.json().get("field", "").endswith(field), bulk.text
    assert (await client.get(PRODUCTS)).json()["totalElements"] == 0


async def test_a_path_that_is_no_id_is_refused(client: httpx.AsyncClient) -> None:
    """U+0000 and endless ids in the path: 400."""
    for path in (f"{INDEX}/%00", f"{INDEX}/{'x' * 201}"):
        assert (await client.delete(path)).status_code == 400, path


async def test_completion_over_http(client: httpx.AsyncClient, database: Database, index: PostgresIndex) -> None:
    """A list of names; bounds as for a search."""
    await shelve(database, index, product("1", "Green tea"), product("2", "Green apples"))
    answer = await client.get("/api/search/autocomplete", params={"q": "gre"})
    assert answer.json() == ["Green apples", "Green tea"]
    assert (await client.get("/api/search/autocomplete", params={"q": "gre", "size": 1})).json() == ["Green apples"]
    for params in ({"q": "x", "size": "0"}, {"q": "x", "size": "51"}, {"q": "\0"}, {"q": "x" * 201}):
        assert (await client.get("/api/search/autocomplete", params=params)).status_code == 400
