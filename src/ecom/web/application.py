"""One Litestar application out of any number of services: same errors, same health, same description everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Litestar, MediaType, Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig

from dovecote.database import Database
from ecom.web import health
from ecom.web.admission import Admission
from ecom.web.built import Built
from ecom.web.correlation import CorrelationDoor
from ecom.web.docs import PlainPage
from ecom.web.exact import ExactRequest, ExactResponse
from ecom.web.express import Express
from ecom.web.problems import answer

BODY_BYTES_MAX = 1_000_000


def application(
    parts: Sequence[tuple[Built, Database]],
    *,
    name: str = "ecom",
    ready: health.Ready | None = None,
    admission: Admission | None = None,
) -> Litestar:
    """Compose the routes of the services given, each on its own database.

    ``ready`` answers /readyz (without it: do the databases answer); ``admission`` guards the operators' paths.
    """
    databases = [database for _, database in parts]
    calls = [handler for built, database in parts for handler in built.routes(database)]
    app = Litestar(
        route_handlers=[
            *calls,
            *health.routes(name, ready or health.databases_answer(databases)),
            _description(),
        ],
        exception_handlers={Exception: answer},
        guards=[admission] if admission else [],
        request_class=ExactRequest,
        response_class=ExactResponse,
        request_max_body_size=BODY_BYTES_MAX,
        openapi_config=OpenAPIConfig(
            title=name,
            version="1",
            path="/docs",
            render_plugins=[PlainPage()],
            create_examples=False,
        ),
        # Litestar's logging and its debug pages cost time on every request; structlog is set up by the process.
        logging_config=None,
        debug=False,
    )
    express = Express(app.asgi_handler, calls, body_bytes_max=BODY_BYTES_MAX)
    app.asgi_handler = CorrelationDoor(express)
    return app


def _description() -> HTTPRouteHandler:
    """The OpenAPI description where our clients and those of the original look for it."""
    encoded = b""

    @get(["/openapi.json", "/v3/api-docs"], include_in_schema=False)
    async def description(request: Request[Any, Any, Any]) -> Response[bytes]:
        nonlocal encoded
        if not encoded:
            encoded = msgspec.json.encode(request.app.openapi_schema.to_schema())
        return Response(encoded, media_type=MediaType.JSON)

    return description
