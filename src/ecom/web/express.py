"""The short road: the calls of which a shop answers thousands a second, without the framework's way to and from them.

A handler that says ``@post(…, opt=EXPRESS)`` is an ordinary Litestar handler: the OpenAPI document describes it, and
Litestar answers every request that is unusual. The usual one is answered here by the same function, with the same
decoder, encoder and problems; only routing and layers are left out. A query that does not fit its parameters is
unusual: Litestar says what is wrong with it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import parse_qsl

import msgspec
from litestar.enums import ScopeType
from litestar.exceptions import ClientException
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from ecom.web import exact
from ecom.web.admission import is_operators
from ecom.web.headers import header
from ecom.web.problems import answer

Given = dict[str, Any]

_OPT = "express"
EXPRESS = {_OPT: True}
_SEGMENT = re.compile(r"(?P<stem>/[^{}]+)/\{(?P<name>\w+):str\}")
# Litestar refuses some hosts: one that is not a plain name or number is its to judge.
_HOST = re.compile(rb"[0-9A-Za-z.:\[\]_-]+")
_TYPE = (b"content-type", b"application/json")
_BOUNDS = ("gt", "ge", "lt", "le", "multiple_of", "pattern", "min_length", "max_length")


@dataclass(frozen=True, slots=True)
class Call:
    """A handler as the short road needs it; ``segment`` names the parameter that ends its path, if one does."""

    handler: HTTPRouteHandler
    stem: str
    segment: str | None
    query: Mapping[str, Any]  # parameters of the query: what each must be
    wants_body: bool
    wants_request: bool

    @classmethod
    def of(cls, handler: HTTPRouteHandler) -> Call:
        """Raises ValueError where a handler needs more than a body, the request, a last segment and optional
        parameters of the query, or is guarded.
        """
        (path,), (method,) = handler.paths, handler.http_methods
        found = _SEGMENT.fullmatch(path)
        stem, segment = (found["stem"], found["name"]) if found else (path, None)
        wanted = inspect.signature(handler.fn).parameters
        query = _query(handler, [each for each in wanted.values() if each.name not in ("data", "request", segment)])
        if query is None or "{" in stem or is_operators(path, method):
            raise ValueError(f"{method} {path} cannot take the short road.")
        return cls(handler, stem, segment, query, "data" in wanted, "request" in wanted)

    def asked(self, query_string: bytes) -> Given | None:
        """The parameters that a query gives; None where it is not as usual."""
        if not query_string:
            return {}
        try:
            said = parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict")
            return {name: msgspec.convert(value, self.query[name], strict=False) for name, value in said}
        except (KeyError, ValueError):  # a name unknown, a text that is none, a value out of bounds
            return None


def _query(handler: HTTPRouteHandler, parameters: Sequence[inspect.Parameter]) -> Mapping[str, Any] | None:
    """What each of these parameters must be; None where one is no optional parameter of the query."""
    query = {}
    for each in parameters:
        field = handler.parsed_fn_signature.parameters[each.name]
        said = field.kwarg_definition
        if not isinstance(said, QueryParameter) or each.default is inspect.Parameter.empty:
            return None
        bounds = {bound: getattr(said, bound) for bound in _BOUNDS if getattr(said, bound) is not None}
        query[each.name] = Annotated[field.annotation, msgspec.Meta(**bounds)] if bounds else field.annotation
    return query


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
        given = call.asked(scope["query_string"]) if call is not None else None
        if call is None or given is None:
            await self._app(scope, receive, send)
        else:
            await _answer(call, given, scope, receive, send)  # type: ignore[arg-type]

    def _call(self, scope: HTTPScope) -> Call | None:
        """The call that a request is for, if it is one of ours and as usual."""
        if scope.get("root_path"):
            return None
        method, path = scope["method"], scope["path"]
        call = self._exact.get((method, path))
        if call is None:
            stem, _, last = path.rpartition("/")
            call = self._stems.get((method, stem)) if last else None
        if call is None:
            return None
        host, length = header(scope, b"host"), header(scope, b"content-length")
        if host is not None and not _HOST.fullmatch(host):
            return None
        if call.wants_body and not (length and length.isdigit() and 0 < int(length) <= self._body_bytes_max):
            return None
        return call


async def _answer(call: Call, given: Given, scope: HTTPScope, receive: Receive, send: Send) -> None:
    scope["route_handler"] = call.handler
    request = exact.ExactRequest(scope, receive, send)
    try:
        if call.segment is not None:
            given[call.segment] = scope["path"].rpartition("/")[2]
        if call.wants_body:
            kind = header(scope, b"content-type")
            body = await _body(receive)
            given["data"] = exact.decode(
                body, kind.decode("latin-1") if kind is not None else None, call.handler.parsed_data_field
            )
        if call.wants_request:
            given["request"] = request
        answered = await call.handler.fn(**given)
        if not isinstance(answered, bytes):  # these are JSON already
            answered = exact.encode(answered)
    except Exception as error:  # noqa: BLE001 (told to the client, and logged where it is ours)
        response = answer(request, error).to_asgi_response(app=None, request=request)
        await response(scope, receive, send)
        return
    headers = [_TYPE, (b"content-length", b"%d" % len(answered))]
    await send({"type": "http.response.start", "status": call.handler.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": answered, "more_body": False})


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
