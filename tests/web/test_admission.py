"""Which calls are operators': the table of paths and methods, for every service's routes."""

from __future__ import annotations

import pytest

from ecom.shop import SERVICES, Shop
from ecom.web.admission import is_operators


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/products"),
        ("PUT", "/api/products/{product_id:str}"),
        ("DELETE", "/api/products/{product_id:str}"),
        ("PATCH", "/api/products/{product_id:str}"),
        ("POST", "/api/inventory/stock"),
        ("POST", "/api/search/index/products"),
        ("POST", "/api/search/index/products/bulk"),
        ("DELETE", "/api/search/index/products/{product_id:str}"),
        ("POST", "/api/search/reindex/products"),
        ("GET", "/api/search/reindex/products"),
        ("GET", "/api/search/admin/relevance/evaluate"),
        ("POST", "/api/orders/admin/outbox/replay-failed"),
        ("GET", "/api/payments/provider/dead-letters"),
        ("GET", "/api/notifications/failed"),
        ("", "/api/products"),
    ],
)
def test_these_are_the_operators(method: str, path: str) -> None:
    """Who writes the catalogue, the stock or the index runs the shop; a call without a method is no reading."""
    assert is_operators(path, method)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/products"),
        ("HEAD", "/api/products/{product_id:str}"),
        ("OPTIONS", "/api/products"),
        ("GET", "/api/inventory/stock/{sku:str}"),
        ("GET", "/api/search/products"),
        ("GET", "/api/search/autocomplete"),
        ("POST", "/api/orders"),
        ("POST", "/api/inventory/reserve"),
        ("POST", "/api/payments/webhook"),
        ("GET", "/api/notifications"),
        ("GET", "/healthz"),
    ],
)
def test_these_are_everyones(method: str, path: str) -> None:
    """Readers and customers need no token."""
    assert not is_operators(path, method)


def test_every_write_is_an_operators_or_a_customers() -> None:
    """A new call that writes is one of the customers' below, or it needs the token beyond loopback."""
    customers = {
        "/api/orders",
        "/api/orders/{order_id:str}/cancel",
        "/api/orders/{order_id:str}/confirm",
        "/api/inventory/reserve",
        "/api/inventory/release",
        "/api/inventory/confirm",
        "/api/payments/intents",
        "/api/payments/webhook",
    }
    open_writes = {
        path
        for name in SERVICES
        for handler in Shop.of([name], {}).built[name].routes(None)  # type: ignore[arg-type]
        for path in handler.paths
        for method in handler.http_methods
        if method != "GET" and not is_operators(path, method)
    }
    assert open_writes == customers
