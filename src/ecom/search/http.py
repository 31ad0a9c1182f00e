"""Search over HTTP: what shoppers ask. Answers are put together from the bytes that were made when indexing."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Annotated

import msgspec
from litestar import MediaType, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery, QueryParameter

from dovecote.database import Database
from ecom.search import operators
from ecom.search.domain import PRICE_MAX, Ask, Found, Sort
from ecom.search.index import Index
from ecom.web.express import EXPRESS
from ecom.web.problems import Problem

QUERY_MAX = 200
OFFSET_MAX = 10_000
SIZE_MAX = 200
SUGGESTIONS_MAX = 50
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SORTS = {sort.value: sort for sort in Sort}
_encode = msgspec.json.encode

Text = Annotated[str, QueryParameter(max_length=QUERY_MAX)]


def routes(database: Database, *, index: Index) -> list[HTTPRouteHandler]:
    """The calls of the search service."""

    @get("/api/search/products", media_type=MediaType.JSON, opt=EXPRESS, summary="Products that fit")
    async def search(
        q: Text = "",
        category: Text = "",
        brand: Text = "",
        activeOnly: FromQuery[bool] = True,  # noqa: FBT002, N803 (the wire contract's)
        priceMin: FromQuery[str | None] = None,  # noqa: N803
        priceMax: FromQuery[str | None] = None,  # noqa: N803
        page: Annotated[int, QueryParameter(ge=0, le=OFFSET_MAX)] = 0,
        size: Annotated[int, QueryParameter(ge=1, le=SIZE_MAX)] = 20,
        sortBy: Text = "score",  # noqa: N803
        direction: Text = "desc",
        facets: FromQuery[bool] = False,  # noqa: FBT002
    ) -> bytes:
        """Best first, or as sorted; ``direction`` is of no account for the score."""
        for name, text in (("q", q), ("category", category), ("brand", brand)):
            _refuse_control(name, text)
        lowest, highest = _price("priceMin", priceMin), _price("priceMax", priceMax)
        if lowest is not None and highest is not None and lowest > highest:
            raise _invalid("priceMin", "is above priceMax")
        if page * size > OFFSET_MAX:
            raise _invalid("page", f"goes further than {OFFSET_MAX} products; narrow the search instead")
        ask = Ask(
            text=q,
            category=category,
            brand=brand,
            active_only=activeOnly,
            price_min=lowest,
            price_max=highest,
            page=page,
            size=size,
            sort=_SORTS.get(sortBy, Sort.SCORE),
            descending=direction.lower() != "asc",
            facets=facets,
        )
        return _body(await index.search(database, ask), ask)

    @get("/api/search/autocomplete", media_type=MediaType.JSON, opt=EXPRESS, summary="Names that go on as typed")
    async def autocomplete(q: Text = "", size: Annotated[int, QueryParameter(ge=1, le=SUGGESTIONS_MAX)] = 10) -> bytes:
        """Each name once, as it is written."""
        _refuse_control("q", q)
        return _encode(await index.suggest(database, q, size))

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


def _price(field: str, text: str | None) -> Decimal | None:
    if not text:
        return None
    try:
        price = Decimal(text)
    except InvalidOperation:
        raise _invalid(field, "is no number") from None
    if not price.is_finite() or price < 0 or price >= PRICE_MAX:
        raise _invalid(field, "is no price")
    return price


def _refuse_control(field: str, text: str) -> None:
    """Control characters are in no product's text, and U+0000 in no database's."""
    if _CONTROL.search(text):
        raise _invalid(field, "contains control characters")


def _invalid(field: str, what: str) -> Problem:
    return Problem(400, "VALIDATION_FAILED", f"{field}: {what}.", field=field)
