"""`ecom relevance`: the judged queries asked of a shop's search, and how often its first hit is what was meant."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ecom.search.relevance import Ask, Hit, Score

_SHOWN_HITS = 3


class Sets(StrEnum):
    """Which queries to ask."""

    tuning = "tuning"
    held_out = "held_out"
    both = "both"


def register(app: typer.Typer) -> None:
    app.command(name="relevance")(relevance)


def relevance(
    url: Annotated[str, typer.Option(help="A running shop's address; without it, the database's own index.")] = "",
    sets: Annotated[Sets, typer.Option("--set", help="Which judged queries to ask.")] = Sets.both,
    prefix: Annotated[str, typer.Option(help="Goes before every schema, topic and group.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on the last line.")] = False,
) -> None:
    """Print success@1, MRR@10 and the misses of the judged queries; exit 1 where search is not there or is empty."""
    from ecom.cli import logs, loop

    logs.set_up("WARNING")
    names = ["tuning", "held_out"] if sets is Sets.both else [sets.value]
    scores = loop.run(_measure(url.rstrip("/"), names, prefix))
    if as_json:
        print(json.dumps({score.name: _report(score) for score in scores}))
        return
    _print(scores)


async def _measure(url: str, names: Sequence[str], prefix: str) -> list[Score]:
    from ecom.search.relevance import measure

    async with contextlib.AsyncExitStack() as stack:
        address = url or await stack.enter_async_context(_served(prefix))
        ask = await stack.enter_async_context(asking(address))
        if not await ask("", 1):
            raise typer.BadParameter("there is no product in the index: run `./ecom catalogue import` first")
        return [await measure(ask, name) for name in names]


@contextlib.asynccontextmanager
async def _served(prefix: str) -> AsyncIterator[str]:
    """The search service's HTTP on a free port and its database, without its consumers."""
    from ecom.cli.operator import connected
    from ecom.serving import base_url, bind, serving
    from ecom.shop import build
    from ecom.web.application import application

    async with connected("search", prefix=prefix) as service:
        parts = [(build("search", os.environ), service.database)]
        with contextlib.closing(bind("127.0.0.1", 0)) as taken:
            async with serving(application(parts, name="search-service"), taken):
                yield base_url(taken)


@contextlib.asynccontextmanager
async def asking(url: str) -> AsyncIterator[Ask]:
    """Ask a shop's search over HTTP, as a shopper does who sets nothing."""
    import aiohttp

    from dovecote.errors import UnavailableError

    async with aiohttp.ClientSession() as session:

        async def ask(query: str, count: int) -> Sequence[Hit]:
            given = {"q": query, "size": str(count)}
            try:
                async with session.get(f"{url}/api/search/products", params=given) as answer:
                    if answer.status != HTTPStatus.OK:
                        raise UnavailableError(f"{url} answered {answer.status} to {query!r}: {await answer.text()}")
                    found: Mapping[str, Any] = await answer.json()
            except (aiohttp.ClientError, OSError) as error:
                raise UnavailableError(f"{url} does not answer: {error}") from error
            return [_Found(product) for product in found["content"]]

        yield ask


class _Found:
    """A product of an answer."""

    def __init__(self, product: Mapping[str, Any]) -> None:
        self.product_id: str = product["productId"]
        self.name: str = product["name"]
        self.category: str | None = product.get("category")
        self.brand: str | None = product.get("brand")
        self.description: str | None = product.get("description")
        self.sizes: Sequence[str] = product.get("sizes") or ()


def _report(score: Score) -> Mapping[str, Any]:
    return {
        "queries": len(score.outcomes),
        "success_at_1": round(score.success_at_1, 4),
        "mrr_at_10": round(score.mrr_at_10, 4),
        "misses": [
            {"query": miss.judged.query, "kind": miss.judged.kind, "rank": miss.rank, "first": list(miss.names[:1])}
            for miss in score.misses
        ],
    }


def _print(scores: Sequence[Score]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("set", "queries", "success@1", "MRR@10", title="ecom relevance")
    for score in scores:
        table.add_row(
            score.name, str(len(score.outcomes)), f"{100 * score.success_at_1:.1f} %", f"{score.mrr_at_10:.3f}"
        )
    console.print(table)
    if not any(score.misses for score in scores):
        return
    misses = Table("set", "query", "kind", "first relevant", "first hits", title="misses")
    for score in scores:
        for miss in score.misses:
            first = "\n".join(miss.names[:_SHOWN_HITS]) or "nothing"
            misses.add_row(score.name, miss.judged.query, miss.judged.kind, str(miss.rank or "-"), first)
    console.print(misses)
