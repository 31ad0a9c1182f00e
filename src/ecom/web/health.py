"""Am I alive, am I ready, what do I count: our paths, and the ones that clients of the original already poll."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from litestar import MediaType, Response, get
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from dovecote.database import Database
from dovecote.envelope import instant
from dovecote.errors import DovecoteError
from dovecote.sql import Sql

PING = Sql("SELECT 1")
READY_SECONDS_MAX = 2.0

Ready = Callable[[], Awaitable[bool]]


def databases_answer(databases: Sequence[Database]) -> Ready:
    """Ready when every service's database answers in time; the broker is left out, because the outbox waits for it."""

    async def ready() -> bool:
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                await asyncio.gather(*(database.fetchval(PING) for database in databases))
        except (DovecoteError, TimeoutError):
            return False
        return True

    return ready


def routes(service: str, ready: Ready) -> list[HTTPRouteHandler]:
    """The handlers, bound to what they report on."""

    @get(["/healthz", "/actuator/health/liveness"], include_in_schema=False)
    async def alive() -> dict[str, str]:
        return {"status": "UP"}

    @get(["/readyz", "/actuator/health", "/actuator/health/readiness"], include_in_schema=False)
    async def is_ready() -> Response[dict[str, str]]:
        return _verdict(up=await ready())

    @get("/internal/health", include_in_schema=False)
    async def internal() -> Response[dict[str, Any]]:
        verdict = _verdict(up=await ready())
        body = {"service": service, **verdict.content, "timestamp": instant(datetime.now(UTC))}
        return Response(body, status_code=verdict.status_code, media_type=MediaType.JSON)

    @get(["/metrics", "/actuator/prometheus"], include_in_schema=False)
    async def metrics() -> Response[bytes]:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [alive, is_ready, internal, metrics]


def _verdict(*, up: bool) -> Response[dict[str, str]]:
    return Response(
        {"status": "UP" if up else "OUT_OF_SERVICE"},
        status_code=200 if up else 503,
        media_type=MediaType.JSON,
        headers={} if up else {"Retry-After": "2"},
    )
