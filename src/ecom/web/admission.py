"""Who may use the operators' paths: anyone on loopback, beyond it only who knows ``app.admin.token``."""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from dovecote.errors import SettingsError
from ecom.web.problems import Problem

HEADER = "X-Admin-Token"
_SEGMENT = "/admin/"
_OPERATORS = (
    "/api/payments/provider",
    "/api/notifications/retry-failed",
    "/api/notifications/dead-letters",
    "/api/notifications/failed",
    "/api/search/index",
    "/api/search/reindex",
)
# Everyone may read these; who writes them runs the shop.
_OPERATORS_TO_WRITE = ("/api/products", "/api/inventory/stock")
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Admission:
    """A Litestar guard; it sees the route's template, so no spelling of a path walks around it."""

    token: str

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        """Raise 401 or 403 unless the path is everyone's or the token is right."""
        if not is_operators(connection.scope["path_template"], str(connection.scope.get("method", ""))):
            return
        given = _token(connection)
        if given is None:
            raise Problem(
                401,
                "ADMIN_TOKEN_REQUIRED",
                f"This path is for operators; send {HEADER} or Authorization: Bearer.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            raise Problem(403, "ADMIN_TOKEN_WRONG", "The admin token is not the configured one.")


def admission(address: str, token: str) -> Admission | None:
    """The guard for a server bound to an address; None on loopback.

    Raises SettingsError where the address is beyond loopback and no token is configured.
    """
    if is_loopback(address):
        return None
    if not token:
        raise SettingsError(
            f"server.address {address} is beyond loopback; set app.admin.token (APP_ADMIN_TOKEN) or bind 127.0.0.1."
        )
    return Admission(token)


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach a server bound there."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


def is_operators(path: str, method: str) -> bool:
    """Whether a call of a path belongs to operators."""
    if method not in _READS and path.startswith(_OPERATORS_TO_WRITE):
        return True
    return _SEGMENT in f"{path}/" or path.startswith(_OPERATORS)


def _token(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    if token := connection.headers.get(HEADER):
        return token
    scheme, _, value = connection.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value.strip() else None
