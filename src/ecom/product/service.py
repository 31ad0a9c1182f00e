"""The product service put together: settings, handlers, jobs, routes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dovecote.service import Blueprint
from dovecote.settings import App, load
from ecom.product import http
from ecom.product.handlers import handlers
from ecom.product.jobs import jobs
from ecom.web.built import Built

NAME = "product-service"
SCHEMA = "product_service"
HERE = Path(__file__).parent


def build(environ: Mapping[str, str]) -> Built:
    """The service as its configuration wants it; nothing runs yet. Raises SettingsError."""
    settings = load(App, service="product", yaml=HERE / "application.yml", environ=environ)
    blueprint = Blueprint(
        name=NAME,
        schema=SCHEMA,
        migrations=HERE / "migrations",
        settings=settings,
        handlers=handlers,
        jobs=jobs,
    )
    return Built(blueprint=blueprint, routes=http.routes)
