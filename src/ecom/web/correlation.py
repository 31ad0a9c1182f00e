"""The ASGI door in front of the application: X-Correlation-Id in, out and in every log line; traceparent as a cause."""

from __future__ import annotations

import re
import time
from typing import Any

import structlog
from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from dovecote import ids
from dovecote.events import Cause
from ecom.web.headers import header

HEADER = "X-Correlation-Id"
_HEADER = HEADER.lower().encode()
_KEY = "correlation_id"
# A header comes back in our answer and our log: only what cannot break either is echoed.
_SAFE = re.compile(rb"[\x21-\x7e]{1,128}")
# Probes and scrapes every few seconds say nothing; writes and refusals do.
_QUIET_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

log = structlog.get_logger("ecom.http")


def correlation_id(scope: Scope) -> str:
    """The id of this request: the client's own, or one made at the door."""
    known = scope["state"].get(_KEY)
    return known if isinstance(known, str) else ids.new_trace_id()


def cause_of(request: Request[Any, Any, Any]) -> Cause:
    """The request as the cause of an event: its traceparent's trace id, or a new one."""
    sent = header(request.scope, b"traceparent")
    return Cause(ids.trace_id_of(sent.decode("latin-1") if sent else None))


class CorrelationDoor:
    """Pure ASGI, outside routing, so that a 404 carries the id too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        given = header(scope, _HEADER)
        value = given if given and _SAFE.fullmatch(given) else ids.new_trace_id().encode()
        text = value.decode("ascii")
        scope["state"][_KEY] = text
        status = 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (_HEADER, value)]
            await send(message)

        started = time.monotonic()
        # Bound and not taken back: the server answers each request in a task of its own, and its context ends with it.
        structlog.contextvars.bind_contextvars(correlation_id=text)
        try:
            await self._app(scope, receive, answer)
        finally:
            _tell(scope, status, time.monotonic() - started)


def _tell(scope: HTTPScope, status: int, seconds: float) -> None:
    """One line for each write and each refusal; reads that succeed are silent below debug."""
    level = "error" if status >= 500 else "debug" if scope["method"] in _QUIET_METHODS and status < 400 else "info"
    getattr(log, level)(
        "request", method=scope["method"], path=scope["path"], status=status, ms=round(seconds * 1000, 1)
    )
