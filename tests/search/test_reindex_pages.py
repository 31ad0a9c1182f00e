"""Reading a product service page by page: ours by key, the original by number, and what makes no sense is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from ecom.search import catalogue_client
from ecom.search.catalogue_client import Catalogue, CatalogueAway, CatalogueUnreadable
from tests.search.catalogues import Original, answering


def product(number: int) -> dict[str, Any]:
    """A product as the original lists it: nulls, and an instant of another kind."""
    return {
        "id": f"p{number:03}",
        "name": f"Name {number:03}",
        "description": None,
        "category": "c",
        "brand": "b",
        "price": 1.10,
        "colors": None,
        "sizes": ["s"],
        "imageUrls": [],
        "active": True,
        "createdAt": [2024, 1, 2],
        "updatedAt": "2024-01-02T03:04:05",
    }


async def read(url: str, size: int = 2) -> list[list[str]]:
    """The ids of each page."""
    return [[listed.id for listed in page] async for page in Catalogue(url).pages(size)]


def keyed(answers: dict[str, dict[str, Any]]) -> Any:
    """A service that answers each ``after`` with a given page."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(answers[request.query["after"]])

    return answer


async def test_a_service_that_pages_by_key_is_followed() -> None:
    """Each page says where the next begins; the last says null."""
    answers = {
        "": {"content": [product(1), product(2)], "next": "p002"},
        "p002": {"content": [product(3)], "next": "p003"},
        "p003": {"content": [], "next": None},
    }
    async with answering(keyed(answers)) as url:
        assert await read(url) == [["p001", "p002"], ["p003"]]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
async def test_the_originals_service_is_read_by_page_numbers(count: int) -> None:
    """An answer without ``next`` is a page by number: all are read, and nothing beyond the last."""
    original = Original([product(number) for number in range(count)])
    asked: list[int] = []
    original.before_page = asked.append
    async with answering(original) as url:
        assert [each for page in await read(url) for each in page] == [f"p{number:03}" for number in range(count)]
    assert asked == [0, *range(max(1, -(-count // 2)))]


async def test_a_foreign_product_keeps_its_digits_and_has_no_moment_of_change() -> None:
    """Prices are exact; an instant that only its writer understands is none."""
    async with answering(Original([product(1)])) as url:
        [[listed]] = [page async for page in Catalogue(url).pages(20)]
    assert (listed.price, listed.version, listed.changed_at) == (Decimal("1.1"), None, None)


@pytest.mark.parametrize(
    "answers",
    [
        {"": {"content": [product(2), product(1)], "next": None}},
        {"": {"content": [product(1)], "next": "p009"}},
        {"": {"content": [], "next": "p001"}},
        {"": {"content": [product(1)], "next": "p001"}, "p001": {"content": [product(1)], "next": "p001"}},
        {"": {"content": [{"id": "x"}], "next": None}},
        {"": {"content": "products", "next": None}},
    ],
)
async def test_pages_that_make_no_sense_are_refused(answers: dict[str, dict[str, Any]]) -> None:
    """Ids out of order, a key that leads nowhere or back, and things that are no products end the reading."""
    async with answering(keyed(answers)) as url:
        with pytest.raises(CatalogueUnreadable):
            await read(url)


async def test_a_service_that_ignores_page_numbers_is_not_read_for_ever() -> None:
    """The same page again and again is nonsense, not progress."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"content": [product(1)], "last": False})

    async with answering(answer) as url:
        with pytest.raises(CatalogueUnreadable, match="same products"):
            await read(url)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff\xfe", b'{"content": null}'])
async def test_something_else_than_json_pages_is_refused(body: bytes) -> None:
    """A port where something else answers is named as that."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body)

    async with answering(answer) as url:
        with pytest.raises(CatalogueUnreadable, match=url):
            await read(url)


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, CatalogueUnreadable), (302, CatalogueUnreadable), (500, CatalogueAway), (503, CatalogueAway)],
)
async def test_a_refusal_says_whether_trying_again_can_help(
    status: int, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that fails may recover, and is asked again first; one that does not know products will not."""
    monkeypatch.setattr(catalogue_client, "FIRST_PAUSE_S", 0.001)
    asked = 0

    async def answer(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with answering(answer) as url:
        with pytest.raises(error, match=str(status)):
            await read(url)
    assert asked == (catalogue_client.TRIES_MAX if error is CatalogueAway else 1)


async def test_one_failure_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A product service that is started anew in mid-reading costs a pause, not the rebuild."""
    monkeypatch.setattr(catalogue_client, "FIRST_PAUSE_S", 0.001)
    failures = [503, 500]

    async def answer(_: web.Request) -> web.Response:
        if failures:
            return web.Response(status=failures.pop())
        return web.json_response({"content": [product(1)], "next": None})

    async with answering(answer) as url:
        assert await read(url) == [["p001"]]


async def test_a_closed_port_is_a_service_that_is_away(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens there: away, by its address."""
    monkeypatch.setattr(catalogue_client, "FIRST_PAUSE_S", 0.001)
    with pytest.raises(CatalogueAway, match=str(port)):
        await read(f"http://127.0.0.1:{port}")


async def test_an_address_that_is_none_is_refused() -> None:
    """A misspelled address is told as one, and is not tried again."""
    with pytest.raises(CatalogueUnreadable):
        await read("nowhere")
