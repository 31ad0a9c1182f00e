"""The order service put together: settings, handlers, jobs, routes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from dovecote.errors import SettingsError
from dovecote.service import Blueprint
from dovecote.settings import App, Group, load
from ecom.order import http
from ecom.order.handlers import handlers
from ecom.order.jobs import jobs
from ecom.web.built import Built

NAME = "order-service"
SCHEMA = "order_service"
HERE = Path(__file__).parent
CATALOGUE, CLIENT = "catalogue", "client"
PATIENCE_MAX = timedelta(minutes=1)


class SagaSettings(Group, frozen=True, kw_only=True):
    """``app.saga``: how long payment and stock may take to answer."""

    payment_timeout_minutes: Annotated[int, Meta(ge=1)] = 15
    payment_timeout: timedelta | None = None  # (+) overrides the minutes

    @property
    def timeout(self) -> timedelta:
        """How long an order waits for both answers."""
        if self.payment_timeout is not None:
            return self.payment_timeout
        return timedelta(minutes=self.payment_timeout_minutes)


class OrderSettings(Group, frozen=True, kw_only=True):
    """``app.order``: whose prices an order has, and how long one waits for news of its products."""

    pricing: str = CATALOGUE
    price_patience: timedelta = timedelta(seconds=1)


class OrderApp(App, frozen=True, kw_only=True):
    """``app`` of the order service."""

    saga: SagaSettings = SagaSettings()
    order: OrderSettings = OrderSettings()


def build(environ: Mapping[str, str]) -> Built:
    """The service as its configuration wants it; nothing runs yet. Raises SettingsError."""
    settings = load(OrderApp, service="order", yaml=HERE / "application.yml", environ=environ)
    timeout, cleanup, order = settings.app.saga.timeout, settings.app.cleanup, settings.app.order
    if timeout <= timedelta(0):
        raise SettingsError("app.saga.payment-timeout must be longer than zero, e.g. PT15M.")
    if order.pricing not in {CATALOGUE, CLIENT}:
        raise SettingsError(
            f"app.order.pricing is {order.pricing!r}; it must be {CATALOGUE} (prices of the product service's events) "
            f"or {CLIENT} (whatever the client says)."
        )
    if not timedelta(0) <= order.price_patience <= PATIENCE_MAX:
        raise SettingsError("app.order.price-patience must be from PT0S to PT1M, e.g. PT1S.")
    blueprint = Blueprint(
        name=NAME,
        schema=SCHEMA,
        migrations=HERE / "migrations",
        settings=settings,
        handlers=handlers,
        jobs=jobs(facts_kept=cleanup.dedup_retention, forget_every=cleanup.fixed_delay),
    )
    rules = http.Rules(timeout, by_catalogue=order.pricing == CATALOGUE, price_patience=order.price_patience)
    return Built(blueprint=blueprint, routes=partial(http.routes, rules=rules))
