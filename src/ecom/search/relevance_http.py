"""Relevance over HTTP: the judged queries asked of this index, as the wire contract wants it answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from dovecote.database import Database
from ecom.search.domain import Ask, Hit
from ecom.search.index import Index
from ecom.search.relevance import TOP_MAX, Evaluation, evaluate

_hit = msgspec.json.Decoder(Hit).decode


def routes(database: Database, *, index: Index, target: float) -> list[HTTPRouteHandler]:
    """The call; ``target`` is the share of queries, per cent, that should pass."""

    async def ask(query: str, count: int) -> Sequence[Hit]:
        found = await index.search(database, Ask(text=query, size=count))
        return [_hit(hit) for hit in found.hits]

    @get("/api/search/admin/relevance/evaluate")
    async def evaluated(
        topN: Annotated[int, QueryParameter(ge=1, le=TOP_MAX)] = 5,  # noqa: N803  as on the wire
    ) -> Evaluation:
        """Ask both judged sets; a query passes with a relevant product among the first topN."""
        return await evaluate(ask, top_n=topN, at=database.now, target=target)

    return [evaluated]
