"""The product service's HTTP on a real database: the wire contract's answers, and bad input of every kind."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import httpx
import pytest

from dovecote.database import Database
from dovecote.testing import Bench
from ecom.product.service import build
from ecom.web.admission import admission
from ecom.web.application import application
from tests.product.stories import BODY, TRACE, door, product, put, said

INSTANT = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")


async def test_a_product_from_start_to_end(client: httpx.AsyncClient, database: Database) -> None:
    """POST 201 makes an id, GET and PUT answer 200 with every field, DELETE 204, and then it is 404 for all of them."""
    full = BODY | {
        "description": "flat",
        "currency": "eur",
        "colors": ["red"],
        "sizes": ["12 OZ"],
        "imageUrls": ["/a.png"],
        "active": False,
        "unknown": {"to": "us"},
    }
    made = await client.post("/api/products", json=full)
    body = made.json()
    path = f"/api/products/{body['id']}"
    assert made.status_code == 201
    assert re.fullmatch(r"prd_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", body["id"])
    assert INSTANT.fullmatch(body.pop("createdAt"))
    assert INSTANT.fullmatch(body.pop("updatedAt"))
    expected = {key: value for key, value in full.items() if key != "unknown"} | {"currency": "EUR", "version": 1}
    assert body == expected | {"id": body["id"]}
    shown = await client.get(path)
    assert (shown.status_code, shown.json()) == (200, made.json())
    replaced = await client.put(path, json=BODY)
    assert replaced.status_code == 200
    assert replaced.json() | {"updatedAt": ""} == made.json() | {
        "description": None,
        "currency": None,
        "colors": [],
        "sizes": [],
        "imageUrls": [],
        "active": True,
        "version": 2,
        "updatedAt": "",
    }
    gone = await client.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    for answer in (await client.get(path), await client.put(path, json=BODY), await client.delete(path)):
        assert (answer.status_code, answer.json()["code"]) == (404, "PRODUCT_UNKNOWN")
        assert answer.headers["content-type"] == "application/problem+json"
    assert [(kind, version) for kind, _, version in await said(database)] == [
        ("upserted", 1),
        ("upserted", 2),
        ("deleted", 3),
    ]


async def test_a_put_that_changes_nothing(client: httpx.AsyncClient, database: Database) -> None:
    """The same body again is 200 with the same answer, and no event."""
    made = (await client.post("/api/products", json=BODY)).json()
    again = await client.put(f"/api/products/{made['id']}", json=BODY | {"price": "4.990"})
    assert (again.status_code, again.json()) == (200, made)
    assert len(await said(database)) == 1


@pytest.mark.parametrize(
    ("given", "shown", "told"),
    [
        ("12.10", "12.10", "12.10"),
        ('"12.10"', "12.10", "12.10"),
        ("0", "0", "0"),
        ("-0.0", "0.0", "0.0"),
        ("1e2", "100", "100"),
        ("0.000001", "0.000001", "0.000001"),
        ("1000000000000", "1000000000000", "1000000000000"),
        ("0.1000000000000000055", None, None),
    ],
)
async def test_a_price_keeps_its_digits(
    client: httpx.AsyncClient, database: Database, given: str, shown: str | None, told: str | None
) -> None:
    """Number or string in, exactly those digits out, and the same as a string in the event."""
    text = json.dumps(BODY).replace("4.99", given)
    answer = await client.post("/api/products", content=text, headers={"Content-Type": "application/json"})
    if shown is None:
        assert (answer.status_code, answer.json()["field"]) == (400, "price")
        return
    assert f'"price":{shown},' in answer.text
    assert f'"price":{shown},' in (await client.get(f"/api/products/{answer.json()['id']}")).text
    [event] = await Bench(build({}).blueprint, database).published()
    assert event.payload["price"] == told


async def test_null_says_the_same_as_nothing(client: httpx.AsyncClient) -> None:
    """Clients that write every field send null for the optional ones."""
    nothing = dict.fromkeys(["description", "currency", "colors", "sizes", "imageUrls", "active"])
    answer = await client.post("/api/products", json=BODY | nothing)
    assert answer.status_code == 201
    assert (answer.json()["colors"], answer.json()["active"]) == ([], True)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": None}, "name"),
        ({"name": 7}, "name"),
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 301}, "name"),
        ({"name": "a\u0007b"}, "name"),
        ({"category": ""}, "category"),
        ({"brand": "x" * 201}, "brand"),
        ({"price": None}, "price"),
        ({"price": -1}, "price"),
        ({"price": "-0.01"}, "price"),
        ({"price": "cheap"}, "price"),
        ({"price": "NaN"}, "price"),
        ({"price": "Infinity"}, "price"),
        ({"price": 1e13}, "price"),
        ({"price": "1e999999999"}, "price"),
        ({"price": "9" * 5000}, "price"),
        ({"price": "0.0000001"}, "price"),
        ({"price": [1]}, "price"),
        ({"description": "x" * 10_001}, "description"),
        ({"currency": "EURO"}, "currency"),
        ({"currency": "€"}, "currency"),
        ({"colors": "red"}, "colors"),
        ({"colors": [1]}, "colors[0]"),
        ({"colors": ["red"] * 101}, "colors"),
        ({"sizes": [""]}, "sizes[0]"),
        ({"imageUrls": ["/" * 2001]}, "imageUrls[0]"),
        ({"active": "yes"}, "active"),
    ],
)
async def test_bad_input_names_its_field(
    client: httpx.AsyncClient, database: Database, change: dict[str, Any], field: str
) -> None:
    """POST and PUT refuse what does not fit with 400 and the field's name, and nothing changes."""
    await put(database, product("a"))
    for answer in (
        await client.post("/api/products", json=BODY | change),
        await client.put("/api/products/a", json=BODY | change),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_FAILED")
        assert answer.json()["field"].split("[...]")[0] in {field, field.split("[", maxsplit=1)[0]}
    assert len(await said(database)) == 1


@pytest.mark.parametrize("missing", ["name", "category", "brand", "price"])
async def test_what_a_product_needs(client: httpx.AsyncClient, missing: str) -> None:
    """Each required field is missed by name."""
    answer = await client.post("/api/products", json={key: BODY[key] for key in BODY if key != missing})
    assert (answer.status_code, answer.json()["field"]) == (400, missing)


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[]", b"7", b"{", b'{"name":"\\u0000"}', b"\xff\xfe", b"[" * 20_000, b'{"name":"\\ud800"}'],
)
async def test_a_body_that_is_no_product(client: httpx.AsyncClient, database: Database, content: bytes) -> None:
    """Whatever is sent, it is the sender's mistake."""
    await put(database, product("a"))
    headers = {"Content-Type": "application/json"}
    assert (await client.post("/api/products", content=content, headers=headers)).status_code == 400
    assert (await client.put("/api/products/a", content=content, headers=headers)).status_code == 400


@pytest.mark.parametrize(
    "product_id", ["ghost", "x" * 101, "x" * 5000, "a%00b", "%0A", "'; DROP TABLE product; --", "é"]
)
async def test_an_id_that_nobody_has(client: httpx.AsyncClient, product_id: str) -> None:
    """No id is an error of ours: each is 404 for every call."""
    path = f"/api/products/{product_id}"
    for answer in (await client.get(path), await client.put(path, json=BODY), await client.delete(path)):
        assert (answer.status_code, answer.json()["code"]) == (404, "PRODUCT_UNKNOWN")


async def test_puts_at_the_same_moment_each_count(client: httpx.AsyncClient, database: Database) -> None:
    """Sixty PUTs of one product through two processes: versions 2 to 61, each answered once and said once."""
    await put(database, product("a"))
    async with door(database) as other:
        answers = await asyncio.gather(
            *(
                [client, other][number % 2].put("/api/products/a", json=BODY | {"name": f"Pizza {number}"})
                for number in range(60)
            )
        )
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(answer.json()["version"] for answer in answers) == list(range(2, 62))
    assert [version for _, _, version in await said(database)] == list(range(1, 62))
    told = {each.sequence: each.payload["name"] for each in await Bench(build({}).blueprint, database).published()}
    assert all(told[answer.json()["version"]] == answer.json()["name"] for answer in answers)


async def test_products_made_at_the_same_moment(client: httpx.AsyncClient, database: Database) -> None:
    """Fifty POSTs together make fifty products, a bad one among them hurts only its sender, each keeps its trace."""
    header = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    answers = await asyncio.gather(
        *(
            client.post("/api/products", json=BODY | {"name": f"Pizza {number}"}, headers=header)
            for number in range(50)
        ),
        client.post("/api/products", json=BODY | {"price": -1}),
    )
    assert [answer.status_code for answer in answers] == [201] * 50 + [400]
    assert len({answer.json()["id"] for answer in answers[:-1]}) == 50
    assert [answer.json()["name"] for answer in answers[:-1]] == [f"Pizza {number}" for number in range(50)]
    published = await Bench(build({}).blueprint, database).published()
    assert {each.trace_id for each in published} == {TRACE}


async def test_beyond_loopback_everyone_reads_and_operators_write(database: Database) -> None:
    """Without the token: lists and products are answered, POST, PUT and DELETE are 401 and change nothing."""
    await put(database, product("a"))
    app = application([(build({}), database)], admission=admission("0.0.0.0", "s3cret"))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app),  # type: ignore[arg-type]
        base_url="http://shop",
    ) as client:
        assert (await client.get("/api/products")).status_code == 200
        assert (await client.get("/api/products/a")).status_code == 200
        for headers, codes in (({}, {401}), ({"X-Admin-Token": "no"}, {403})):
            assert {
                (await client.post("/api/products", json=BODY, headers=headers)).status_code,
                (await client.put("/api/products/a", json=BODY, headers=headers)).status_code,
                (await client.delete("/api/products/a", headers=headers)).status_code,
            } == codes
        assert len(await said(database)) == 1
        allowed = {"Authorization": "Bearer s3cret"}
        assert (await client.post("/api/products", json=BODY, headers=allowed)).status_code == 201
        assert (await client.delete("/api/products/a", headers=allowed)).status_code == 204
