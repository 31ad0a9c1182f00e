"""The search service put together: settings, handlers, jobs, routes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from dovecote.database import Database
from dovecote.service import Blueprint
from dovecote.settings import App, Group, load
from ecom.search import http, reindex, reindex_http, relevance_http
from ecom.search.handlers import hears
from ecom.search.jobs import jobs
from ecom.search.postgres import PostgresIndex
from ecom.web.built import Built

NAME = "search-service"
SCHEMA = "search_service"
HERE = Path(__file__).parent


class RelevanceSettings(Group, frozen=True, kw_only=True):
    """``app.search.relevance``: the share of judged queries, per cent, that must have a relevant product on top."""

    target_pass_rate: Annotated[float, Meta(ge=0, le=100)] = 85.0


class SearchSettings(Group, frozen=True, kw_only=True):
    """``app.search``: where a rebuild reads the products, and what relevance is measured against."""

    # Empty: this server's own address where it answers for products, too, else the product service of this machine.
    product_service_base_url: Annotated[str, Meta(pattern=r"^(https?://\S+)?$")] = ""
    relevance: RelevanceSettings = RelevanceSettings()


class SearchApp(App, frozen=True, kw_only=True):
    """``app`` of the search service."""

    search: SearchSettings = SearchSettings()


def build(environ: Mapping[str, str]) -> Built:
    """The service as its configuration wants it; nothing runs yet. Raises SettingsError."""
    settings = load(SearchApp, service="search", yaml=HERE / "application.yml", environ=environ)
    own, cleanup = settings.app.search, settings.app.cleanup
    index = PostgresIndex()

    def routes(database: Database) -> list[HTTPRouteHandler]:
        rebuilding = reindex_http.routes(database, base_url=own.product_service_base_url, swapped=index.forget)
        judging = relevance_http.routes(database, index=index, target=own.relevance.target_pass_rate)
        return [*http.routes(database, index=index), *rebuilding, *judging]

    blueprint = Blueprint(
        name=NAME,
        schema=SCHEMA,
        migrations=HERE / "migrations",
        settings=settings,
        handlers=hears(index),
        jobs=[*jobs(cleanup_every=cleanup.fixed_delay, tombstone_ttl=cleanup.dedup_retention), *reindex.jobs()],
    )
    return Built(blueprint=blueprint, routes=routes)
