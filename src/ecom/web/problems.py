"""Refusals: RFC 9457 problem JSON, with the older names clients in the field look for; bad input is never a 500."""

from __future__ import annotations

import decimal
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from dovecote.envelope import instant
from dovecote.errors import is_environment
from ecom.web.correlation import correlation_id

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2
# SQLSTATEs that a client's value can cause whatever our own bounds let through: wrong value for the type, too
# long, out of range, not representable. Other data errors (division by zero) would be ours.
_VALUE_STATES = frozenset({"22000", "22001", "22003", "22021", "22P02", "22P05"})
_MSGSPEC_PATH = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_MSGSPEC_MISSING = re.compile(r"missing required field `(?P<name>[^`]+)`")
_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "BODY_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "TOO_MANY_REQUESTS",
    503: "UNAVAILABLE",
}

log = structlog.get_logger("ecom.http")
_encode = msgspec.json.Encoder(enc_hook=str).encode


class Problem(Exception):
    """A refusal raised on purpose: status, machine-readable code, one sentence, and the field at fault where one is."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        field: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.field = field
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


def problem_of(error: Exception) -> Problem:
    """What a client is told about an error; the rest is for the log."""
    match error:
        case Problem():
            return error
        case msgspec.ValidationError():
            return invalid(str(error))
        case msgspec.DecodeError() | UnicodeDecodeError():
            return Problem(400, "MALFORMED_BODY", f"The body is not JSON: {error}.")
        case RecursionError():
            return Problem(400, "MALFORMED_BODY", "The body is nested too deep.")
        case ValidationException():
            return _from_signature(error)
        case HTTPException() if error.status_code < 500:
            return _from_http(error)
        case decimal.InvalidOperation():
            return Problem(400, "VALIDATION_FAILED", "A number is too large or not finite.")
    if is_environment(error):
        return Problem(
            503,
            "UNAVAILABLE",
            "A server behind this one cannot be reached; try again.",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    if getattr(error, "sqlstate", None) in _VALUE_STATES:
        return Problem(400, "VALIDATION_FAILED", "A value is outside what can be stored.")
    return Problem(500, "INTERNAL_ERROR", "Something failed on our side; the log knows more by the correlationId.")


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The exception handler of the whole application."""
    problem = problem_of(error)
    if problem is not error and problem.status >= 500 and problem.code != "UNAVAILABLE":  # not said on purpose
        log.error("request failed", path=request.scope["path"], exc_info=error)
    return respond(problem, path=request.scope["path"], correlation=correlation_id(request.scope))


def respond(problem: Problem, *, path: str, correlation: str) -> Response[bytes]:
    """A problem as a response."""
    phrase = HTTPStatus(problem.status).phrase
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": phrase,
        "status": problem.status,
        "detail": problem.detail,
        "instance": path,
        "message": problem.detail,
        "error": phrase,
        "code": problem.code,
        "path": path,
        "timestamp": instant(datetime.now(UTC)),
        "correlationId": correlation,
        **problem.extra,
    }
    if problem.field is not None:
        body["field"] = problem.field
    return Response(_encode(body), status_code=problem.status, media_type=MEDIA_TYPE, headers=problem.headers)


def invalid(text: str) -> Problem:
    """A sentence of msgspec as a problem: ``… - at `$.items[0].quantity` `` names the field."""
    place = _MSGSPEC_PATH.search(text)
    field = place["path"] if place else ""
    sentence = text[: place.start()] if place else text
    if missing := _MSGSPEC_MISSING.search(sentence):
        field = f"{field}.{missing['name']}" if field else missing["name"]
        sentence = "is required"
    detail = f"{field}: {sentence}." if field else f"{sentence}."
    return Problem(400, "VALIDATION_FAILED", detail, field or None)


def _from_signature(error: ValidationException) -> Problem:
    """Litestar's own validation: query and path parameters, headers, a missing body."""
    first = error.extra[0] if isinstance(error.extra, list) and error.extra else None
    if not isinstance(first, dict):
        return Problem(400, "VALIDATION_FAILED", error.detail)
    field, source = str(first.get("key", "")), first.get("source")
    if field == "data" and source == "body":
        return Problem(400, "VALIDATION_FAILED", "The request has no body; send a JSON object.")
    sentence = str(first.get("message", "is not valid"))
    return Problem(400, "VALIDATION_FAILED", f"{field}: {sentence}." if field else f"{sentence}.", field or None)


def _from_http(error: HTTPException) -> Problem:
    """Litestar's other refusals keep their status and headers (405 names the methods that are allowed)."""
    code = _CODES.get(error.status_code, "BAD_REQUEST")
    return Problem(error.status_code, code, f"{error.detail.rstrip('.')}.", headers=error.headers)
