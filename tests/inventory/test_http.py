"""The inventory's HTTP on a real database: the wire contract's answers, and buyers who are never refused for a lock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from dovecote.database import Database
from ecom.inventory import service
from ecom.inventory.store import Terms
from ecom.web.application import application
from tests.inventory.stories import broken, hear, levels, order, shelve


def door(database: Database) -> httpx.AsyncClient:
    """The service's routes as a client of one process sees them."""
    app = application([(service.build({}), database)], name="inventory-service")
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://shop")


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with door(database) as client:
        yield client


def reserve(reservation_id: str, sku: str = "A", quantity: int = 1, ttl: int = 5) -> dict[str, object]:
    return {"reservationId": reservation_id, "sku": sku, "quantity": quantity, "ttlMinutes": ttl}


async def test_stock_is_set_and_shown(client: httpx.AsyncClient, database: Database) -> None:
    """POST sets what is available (201), again and again; the ledger adds up; an unknown SKU is 404."""
    for available in (7, 3, 3):
        answer = await client.post("/api/inventory/stock", json={"sku": "A", "availableQuantity": available})
        assert answer.status_code == 201
        assert answer.json() == {"sku": "A", "availableQuantity": available, "reservedQuantity": 0}
    assert (await client.get("/api/inventory/stock/A")).json()["availableQuantity"] == 3
    assert (await client.get("/api/inventory/stock/B")).status_code == 404
    assert await broken(database) == []


async def test_a_reservation_by_hand_from_start_to_end(client: httpx.AsyncClient, database: Database) -> None:
    """Reserve, confirm and release answer with the stock after them; a second end is 400 with a code."""
    await shelve(database, A=5)
    held = await client.post("/api/inventory/reserve", json=reserve("r1", quantity=2))
    assert (held.status_code, held.json()["availableQuantity"], held.json()["reservedQuantity"]) == (200, 3, 2)
    await client.post("/api/inventory/reserve", json=reserve("r2"))
    confirmed = await client.post("/api/inventory/confirm", json={"reservationId": "r1"})
    assert confirmed.json() == {"sku": "A", "availableQuantity": 2, "reservedQuantity": 1}
    released = await client.post("/api/inventory/release", json={"reservationId": "r2"})
    assert released.json() == {"sku": "A", "availableQuantity": 3, "reservedQuantity": 0}
    again = await client.post("/api/inventory/release", json={"reservationId": "r2"})
    assert (again.status_code, again.json()["code"]) == (400, "RESERVATION_NOT_RESERVED")
    assert await broken(database) == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (reserve("r", sku="GHOST"), "UNKNOWN_SKU"),
        (reserve("r", quantity=6), "NOT_ENOUGH"),
        (reserve("taken"), "RESERVATION_EXISTS"),
    ],
)
async def test_why_a_reservation_is_refused(
    client: httpx.AsyncClient, database: Database, body: dict[str, object], code: str
) -> None:
    """Unknown SKU, not enough and an id in use are 400 with a code that says which."""
    await shelve(database, A=5)
    await client.post("/api/inventory/reserve", json=reserve("taken"))
    answer = await client.post("/api/inventory/reserve", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert await levels(database, "A") == [(4, 1)]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("stock", {"sku": "A", "availableQuantity": -1}, "availableQuantity"),
        ("stock", {"availableQuantity": 1}, "sku"),
        ("stock", {"sku": "x" * 101, "availableQuantity": 1}, "sku"),
        ("reserve", reserve("r", quantity=0), "quantity"),
        ("reserve", reserve("r", quantity=2**31), "quantity"),
        ("reserve", reserve("r", ttl=121), "ttlMinutes"),
        ("reserve", reserve("r", ttl=0), "ttlMinutes"),
        ("reserve", reserve("x" * 101), "reservationId"),
        ("release", {}, "reservationId"),
    ],
)
async def test_bad_input_names_its_field(
    client: httpx.AsyncClient, path: str, body: dict[str, object], field: str
) -> None:
    """What the contract does not allow is 400 and names the field."""
    answer = await client.post(f"/api/inventory/{path}", json=body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


async def test_a_line_of_an_order_is_not_ended_by_hand(
    client: httpx.AsyncClient, database: Database, terms: Terms
) -> None:
    """Releasing one line of an order would break it in two: 409, and nothing changes."""
    await shelve(database, A=5)
    await hear(database, terms, order("o", A=2))
    for act in ("release", "confirm"):
        answer = await client.post(f"/api/inventory/{act}", json={"reservationId": "o:A"})
        assert (answer.status_code, answer.json()["code"]) == (409, "RESERVATION_OF_AN_ORDER")
    unknown = await client.post("/api/inventory/release", json={"reservationId": "nobody"})
    assert (unknown.status_code, unknown.json()["code"]) == (400, "RESERVATION_UNKNOWN")
    assert await levels(database, "A") == [(3, 2)]


async def test_two_hundred_buyers_one_hundred_units(client: httpx.AsyncClient, database: Database) -> None:
    """Two hundred at once for a hundred units, each id asked for twice: a hundred held, none refused for a lock."""
    await shelve(database, A=100)
    bodies = [reserve(f"r{number}") for number in range(200) for _ in range(2)]
    answers = await asyncio.gather(*(client.post("/api/inventory/reserve", json=body) for body in bodies))
    codes = [answer.json().get("code") for answer in answers]
    assert codes.count(None) == 100
    assert set(codes) == {None, "NOT_ENOUGH", "RESERVATION_EXISTS"}
    assert await levels(database, "A") == [(0, 100)]
    assert await broken(database) == []


async def test_two_doors_one_reservation(database: Database) -> None:
    """Two processes asked for the same ids at the same moment: each id is held once."""
    await shelve(database, A=50, B=50)
    doors = [door(database), door(database)]
    bodies = [(reserve(f"r{number}", sku="A"), reserve(f"r{number}", sku="B")) for number in range(40)]
    answers = await asyncio.gather(
        *(
            each.post("/api/inventory/reserve", json=body)
            for pair in bodies
            for each, body in zip(doors, pair, strict=True)
        )
    )
    assert [answer.status_code for answer in answers].count(200) == 40
    assert {answer.status_code for answer in answers} == {200, 400}
    assert await broken(database) == []
    for each in doors:
        await each.aclose()
