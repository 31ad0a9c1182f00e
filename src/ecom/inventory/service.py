"""The inventory service put together: settings, handlers, jobs, routes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from dovecote.service import Blueprint
from dovecote.settings import App, Group, load
from ecom.inventory import http
from ecom.inventory.handlers import hears
from ecom.inventory.jobs import jobs
from ecom.inventory.store import Terms
from ecom.web.built import Built

NAME = "inventory-service"
SCHEMA = "inventory_service"
HERE = Path(__file__).parent


class InventorySettings(Group, frozen=True, kw_only=True):
    """``app.inventory``: how long an unpaid reservation of an order lives, and how its end is looked for."""

    reservation_ttl_minutes: Annotated[int, Meta(ge=1)] = 30
    reservation_ttl: timedelta | None = None  # (+) overrides the minutes
    reservation_expiry_scan_delay: timedelta = timedelta(seconds=60)
    reservation_expiry_batch_size: Annotated[int, Meta(ge=1, le=10_000)] = 100

    @property
    def ttl(self) -> timedelta:
        """How long an order's unpaid reservation lives."""
        return self.reservation_ttl or timedelta(minutes=self.reservation_ttl_minutes)


class InventoryApp(App, frozen=True, kw_only=True):
    """``app`` of the inventory service."""

    inventory: InventorySettings = InventorySettings()


def build(environ: Mapping[str, str]) -> Built:
    """The service as its configuration wants it; nothing runs yet. Raises SettingsError."""
    settings = load(InventoryApp, service="inventory", yaml=HERE / "application.yml", environ=environ)
    own, cleanup = settings.app.inventory, settings.app.cleanup
    terms = Terms(reservation_ttl=own.ttl, memory_ttl=cleanup.dedup_retention)
    blueprint = Blueprint(
        name=NAME,
        schema=SCHEMA,
        migrations=HERE / "migrations",
        settings=settings,
        handlers=hears(terms),
        jobs=jobs(
            terms,
            scan_every=own.reservation_expiry_scan_delay,
            batch_size=own.reservation_expiry_batch_size,
            cleanup_every=cleanup.fixed_delay,
        ),
    )
    return Built(blueprint=blueprint, routes=http.routes)
