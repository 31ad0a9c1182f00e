"""The payment service put together: settings, handlers, workers, jobs, routes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from dovecote.service import Blueprint
from dovecote.settings import App, Group, load
from ecom.payment import http
from ecom.payment.domain import CaptureOn, Mode, Rules
from ecom.payment.handlers import hears
from ecom.payment.jobs import jobs
from ecom.payment.switch import Switch
from ecom.payment.workers import LEASE, Line, workers
from ecom.provider.interface import PaymentProvider
from ecom.provider.simulated import SimulatedProvider
from ecom.web.built import Built

NAME = "payment-service"
SCHEMA = "payment_service"
HERE = Path(__file__).parent


class ProviderSettings(Group, frozen=True, kw_only=True):
    """``app.payment.provider``: where it is, how long it is waited for, and what happens while it is away."""

    max_attempts: Annotated[int, Meta(ge=1)] = 3
    failure_rate: Annotated[float, Meta(ge=0, le=1)] = 0.0
    outage_mode: bool = False
    mode: Literal["auto", "webhook"] = "auto"  # (+)
    url: str = "http://127.0.0.1:8088"  # (+)
    timeout: timedelta = timedelta(seconds=2)  # (+)


class PaymentSettings(Group, frozen=True, kw_only=True):
    """``app.payment``: the webhook's secret, when the amount is taken, and the provider."""

    webhook_secret: Annotated[str, Meta(min_length=1)] = "dev-webhook-secret"  # noqa: S105 (the described default, for development)
    capture: Literal["on-confirmed", "on-authorization"] = "on-confirmed"  # (+)
    provider: ProviderSettings = ProviderSettings()


class PaymentApp(App, frozen=True, kw_only=True):
    """``app`` of the payment service."""

    payment: PaymentSettings = PaymentSettings()


def build(environ: Mapping[str, str], *, provider: PaymentProvider | None = None) -> Built:
    """The service as its configuration wants it; nothing runs yet. Raises SettingsError.

    ``provider`` takes the place of the configured one.
    """
    settings = load(PaymentApp, service="payment", yaml=HERE / "application.yml", environ=environ)
    own, cleanup = settings.app.payment, settings.app.cleanup
    rules = Rules(
        mode=Mode(own.provider.mode),
        capture=CaptureOn(own.capture),
        attempts_max=own.provider.max_attempts,
    )
    provider = provider or SimulatedProvider(own.provider.url.rstrip("/"), timeout=own.provider.timeout)
    switch = Switch(outage=own.provider.outage_mode)
    blueprint = Blueprint(
        name=NAME,
        schema=SCHEMA,
        migrations=HERE / "migrations",
        settings=settings,
        handlers=hears(rules),
        workers=workers(
            Line(provider, switch, own.provider.failure_rate),
            rules,
            lease=max(LEASE, own.provider.timeout * 4),
        ),
        jobs=jobs(
            provider,
            switch,
            rules,
            memory=cleanup.dedup_retention,
            cleanup_every=cleanup.fixed_delay,
        ),
        resources=[provider.connected],
    )
    desk = http.Desk(rules=rules, switch=switch, webhook_secret=own.webhook_secret)
    return Built(blueprint=blueprint, routes=http.routes(desk))
