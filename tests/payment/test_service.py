"""The payment service put together: settings by file and environment, and its whole life on real servers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dovecote.contracts import Contracts
from dovecote.errors import SettingsError
from ecom.contracts import CONTRACTS
from ecom.payment.domain import Mode
from ecom.payment.service import build


def test_defaults() -> None:
    """The wire contract's defaults."""
    own = build({}).blueprint.app.payment  # type: ignore[attr-defined]
    assert own.webhook_secret == "dev-webhook-secret"
    assert own.capture == "on-confirmed"
    assert (own.provider.max_attempts, own.provider.failure_rate, own.provider.outage_mode) == (3, 0.0, False)
    assert own.provider.timeout == timedelta(seconds=2)
    assert build({}).blueprint.settings.port == 8087


def test_environment() -> None:
    """The environment wins, by either name of the provider's address."""
    environ = {
        "PAYMENT_WEBHOOK_SECRET": "s3cret",
        "ECOM_PROVIDER_URL": "http://127.0.0.1:1",
        "APP_PAYMENT_PROVIDER_MODE": "webhook",
        "PAYMENT__APP_PAYMENT_CAPTURE": "on-authorization",
        "APP_PAYMENT_PROVIDER_MAXATTEMPTS": "5",
    }
    own = build(environ).blueprint.app.payment  # type: ignore[attr-defined]
    assert own.webhook_secret == "s3cret"
    assert Mode(own.provider.mode) is Mode.WEBHOOK
    assert own.capture == "on-authorization"
    assert (own.provider.url, own.provider.max_attempts) == ("http://127.0.0.1:1", 5)
    other = build({"APP_PAYMENT_PROVIDER_URL": "http://127.0.0.1:2"}).blueprint.app.payment  # type: ignore[attr-defined]
    assert other.provider.url == "http://127.0.0.1:2"


@pytest.mark.parametrize(
    "environ",
    [
        {"APP_PAYMENT_PROVIDER_MODE": "manual"},
        {"APP_PAYMENT_CAPTURE": "never"},
        {"APP_PAYMENT_PROVIDER_FAILURERATE": "1.5"},
        {"APP_PAYMENT_PROVIDER_MAXATTEMPTS": "0"},
        {"PAYMENT_WEBHOOK_SECRET": ""},
    ],
)
def test_wrong_settings_are_refused(environ: dict[str, str]) -> None:
    """A wrong value is an error before anything starts; an empty webhook secret would sign for anybody."""
    with pytest.raises(SettingsError):
        build(environ)


def test_says_and_hears_what_the_registry_lets_it() -> None:
    """Every event it handles names it as a consumer, every event it may say is its own."""
    contracts = Contracts.load(CONTRACTS)
    blueprint = build({}).blueprint
    for name in blueprint.handlers.event_types:
        assert blueprint.name in contracts.entry(name).consumers
    assert set(blueprint.published(contracts)) == {
        *("payment.authorized.v1", "payment.failed.v1", "payment.captured.v1", "payment.refunded.v1"),
    }
