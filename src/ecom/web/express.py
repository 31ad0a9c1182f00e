"""The short road: the calls of which a shop answers thousands a second, without the framework's way to and from them.

A handler that says ``@post(…, opt=EXPRESS)`` is an ordinary Litestar handler: the OpenAPI document describes it, and
Litestar answers every request that is unusual. The usual one is answered here by the same function, with the same
decoder, encoder and problems; only routing, layers and the parsing of parameters are left out.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from litestar.enums import ScopeType
from litestar.exceptions import ClientException
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from ecom.web import exact
from ecom.web.admission import is_operators
from ecom.web.problems import answer

_OPT = "express"
EXPRESS = {_OPT: True}
_SEGMENT = re.compile(r"(?P<stem>/[^{}]+)/\{(?P<name>\w+):str\}")
# Litestar refuses some hosts: one that is not a plain name or number is its to judge.
_HOST = re.compile(rb"[0-9A-Za-z.:\[\]_-]+")
_TYPE = (b"content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class Call:
    """A handler as the short road needs it; ``segment`` names the parameter that ends its path, if one does."""

    handler: HTTPRouteHandler
    stem: str
    segment: str | None
    wants_body: bool
    wants_request: bool

    @classmethod
    def of(cls, handler: HTTPRouteHandler) -> Call:
        """Raises ValueError where a handler needs more than a body, the request and a last segment, or is guarded."""
        (path,), (method,) = handler.paths, handler.http_methods
        found = _SEGMENT.fullmatch(path)
        stem, segment = (found["stem"], found["name"]) if found else (path, None)
        wanted = set(inspect.signature(handler.fn).parameters)
        if wanted - {"data", "request", segment} or "{" in stem or is_operators(path, method):
            raise ValueError(f"{method} {path} cannot take the short road.")
        return cls(handler, stem, segment, "data" in wanted, "request" in wanted)


class Express:
    """Pure ASGI in front of Litestar's; whatever is not as usual goes on to it untouched."""

    def __init__(self, app: ASGIApp, handlers: Sequence[HTTPRouteHandler], *, body_bytes_max: int) -> None:
        self._app = app
        self._body_bytes_max = body_bytes_max
        calls = [Call.of(handler) for handler in handlers if handler.opt.get(_OPT)]
        self._exact = {(*call.handler.http_methods, call.stem): call for call in calls if call.segment is None}
        self._stems = {(*call.handler.http_methods, call.stem): call for call in calls if call.segment is not None}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = self._call(scope) if scope["type"] == ScopeType.HTTP else None
        if call is None:
            await self._app(scope, receive, send)
        else:
            await _answer(call, scope, receive, send)  # type: ignore[arg-type]

    def _call(self, scope: HTTPScope) -> Call | None:
        """The call that a request is for, if it is one of ours and as usual."""
        if scope["query_string"] or scope.get("root_path"):
            return None
        method, path = scope["method"], scope["path"]
        call = self._exact.get((method, path))
        if call is None:
            stem, _, last = path.rpartition("/")
            call = self._stems.get((method, stem)) if last else None
        if call is None:
            return None
        host, length = _header(scope, b"host"), _header(scope, b"content-length")
        if host is not None and not _HOST.fullmatch(host):
            return None
        if call.wants_body and not (length and length.isdigit() and 0 < int(length) <= self._body_bytes_max):
            return None
        return call


async def _answer(call: Call, scope: HTTPScope, receive: Receive, send: Send) -> None:
    scope["route_handler"] = call.handler
    request = exact.ExactRequest(scope, receive, send)
    try:
        given: dict[str, Any] = {}
        if call.segment is not None:
            given[call.segment] = scope["path"].rpartition("/")[2]
        if call.wants_body:
            kind = _header(scope, b"content-type")
            body = await _body(receive)
            given["data"] = exact.decode(
                body, kind.decode("latin-1") if kind is not None else None, call.handler.parsed_data_field
            )
        if call.wants_request:
            given["request"] = request
        answered = exact.encode(await call.handler.fn(**given))
    except Exception as error:  # noqa: BLE001 (told to the client, and logged where it is ours)
        response = answer(request, error).to_asgi_response(app=None, request=request)
        await response(scope, receive, send)
        return
    headers = [_TYPE, (b"content-length", b"%d" % len(answered))]
    await send({"type": "http.response.start", "status": call.handler.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": answered, "more_body": False})


def _header(scope: HTTPScope, name: bytes) -> bytes | None:
    for each, value in scope["headers"]:
        if each == name:
            return value
    return None


async def _body(receive: Receive) -> bytes:
    """The whole body; the server gives no more than the Content-Length that was looked at."""
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientException("The client went away before its body was complete.")
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)
