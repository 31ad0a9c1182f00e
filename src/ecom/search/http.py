"""Search over HTTP: what shoppers ask. Answers are put together from the bytes that were made when indexing."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

import msgspec
from litestar import MediaType, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery
from msgspec import Meta

from dovecote.database import Database
from ecom.search import operators
from ecom.search.domain import Ask, Found, Sort
from ecom.search.index import Index
from ecom.web.problems import Problem

QUERY_MAX = 200
OFFSET_MAX = 10_000
SIZE_MAX = 200
SUGGESTIONS_MAX = 50
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SORTS = {sort.value: sort for sort in Sort}
_encode = msgspec.json.encode

Text = Annotated[str, Meta(max_length=QUERY_MAX)]
Price = Annotated[Decimal, Meta(ge=0)]


def routes(database: Database, *, index: Index) -> list[HTTPRouteHandler]:
    """The calls of the search service."""

    @get("/api/search/products")
    async def search(
        q: FromQuery[Text] = "",
        category: FromQuery[Text] = "",
        brand: FromQuery[Text] = "",
        activeOnly: FromQuery[bool] = True,  # noqa: FBT002, N803 (the wire contract's)
        priceMin: FromQuery[Price | None] = None,  # noqa: N803
        priceMax: FromQuery[Price | None] = None,  # noqa: N803
        page: FromQuery[Annotated[int, Meta(ge=0, le=OFFSET_MAX)]] = 0,
        size: FromQuery[Annotated[int, Meta(ge=1, le=SIZE_MAX)]] = 20,
        sortBy: FromQuery[Text] = "score",  # noqa: N803
        direction: FromQuery[Text] = "desc",
        facets: FromQuery[bool] = False,  # noqa: FBT002
    ) -> Response[bytes]:
        for name, text in (("q", q), ("category", category), ("brand", brand)):
            _refuse_control(name, text)
        if priceMin is not None and priceMax is not None and priceMin > priceMax:
            raise _invalid("priceMin", "is above priceMax")
        if page * size > OFFSET_MAX:
            raise _invalid("page", f"goes further than {OFFSET_MAX} products; narrow the search instead")
        ask = Ask(
            text=q,
            category=category,
            brand=brand,
            active_only=activeOnly,
            price_min=priceMin,
            price_max=priceMax,
            page=page,
            size=size,
            sort=_SORTS.get(sortBy, Sort.SCORE),
            descending=direction.lower() != "asc",
            facets=facets,
        )
        return Response(_body(await index.search(database, ask), ask), media_type=MediaType.JSON)

    @get("/api/search/autocomplete")
    async def autocomplete(
        q: FromQuery[Text] = "", size: FromQuery[Annotated[int, Meta(ge=1, le=SUGGESTIONS_MAX)]] = 10
    ) -> Response[bytes]:
        _refuse_control("q", q)
        return Response(_encode(await index.suggest(database, q, size)), media_type=MediaType.JSON)

    return [search, autocomplete, *operators.routes(database, index=index)]


def _body(found: Found, ask: Ask) -> bytes:
    """The answer's JSON: the hits are JSON already."""
    facets = b"" if found.facets is None else b',"facets":' + _encode(found.facets)
    return b"".join(
        (
            b'{"content":[',
            ",".join(found.hits).encode(),
            b'],"totalElements":%d,"page":%d,"size":%d' % (found.total, ask.page, ask.size),
            b"" if found.is_exact else b',"totalIsExact":false',
            facets,
            b"}",
        )
    )


def _refuse_control(field: str, text: str) -> None:
    """Control characters are in no product's text, and U+0000 in no database's."""
    if _CONTROL.search(text):
        raise _invalid(field, "contains control characters")


def _invalid(field: str, what: str) -> Problem:
    return Problem(400, "VALIDATION_FAILED", f"{field}: {what}.", field=field)
