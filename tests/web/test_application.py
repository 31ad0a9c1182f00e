"""The composed application over a service of three calls: refusals, correlation, exact JSON, health, description."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Annotated, Any

import httpx
import msgspec
import pytest
import pytest_asyncio
import structlog
from litestar import Litestar, Request, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from dovecote.errors import SettingsError, UnavailableError
from ecom.web.admission import admission
from ecom.web.application import BODY_BYTES_MAX, application
from ecom.web.built import Built
from ecom.web.correlation import cause_of
from ecom.web.problems import Problem


class Line(msgspec.Struct, rename="camel"):
    """A line as the order service takes it."""

    sku: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    quantity: Annotated[int, msgspec.Meta(ge=1)]
    unit_price: Decimal


class Basket(msgspec.Struct, rename="camel"):
    """A body with a list in it."""

    user_id: int
    items: Annotated[list[Line], msgspec.Meta(min_length=1, max_length=3)]


@post("/api/baskets")
async def place(data: JSONBody[Basket]) -> Basket:
    """Answer what was understood."""
    return data


@get("/api/failures/{kind:str}")
async def fail(kind: FromPath[str], request: Request[Any, Any, Any], page: FromQuery[int] = 0) -> dict[str, str]:
    """Fail in the way asked for."""
    match kind:
        case "conflict":
            raise Problem(409, "ORDER_FINAL", "The order is final.", field="status")
        case "away":
            raise UnavailableError("The database did not answer.")
        case "bug":
            raise ZeroDivisionError("ours")
    return {"trace": cause_of(request).trace_id, "page": str(page)}


@post("/api/orders/admin/saga/timeouts/run")
async def sweep() -> str:
    """An operator's call."""
    return "0 orders timed out."


PARTS: Any = [(Built(blueprint=None, routes=lambda _: [place, fail, sweep]), None)]


async def yes() -> bool:
    """Ready."""
    return True


def over(app: Litestar) -> httpx.AsyncClient:
    """A client of the application in this process."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://shop")


@pytest_asyncio.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """The shop on loopback."""
    async with over(application(PARTS, name="shop", ready=yes)) as one:
        yield one


def line(**changes: object) -> dict[str, object]:
    """A good line, changed."""
    return {"sku": "a", "quantity": 1, "unitPrice": 1.10} | changes


BAD = [
    ({"userId": 1, "items": []}, "items"),
    ({"items": [line()]}, "userId"),
    ({"userId": 1}, "items"),
    ({"userId": "x", "items": [line()]}, "userId"),
    ({"userId": 1, "items": [line(), line(quantity=0)]}, "items[1].quantity"),
    ({"userId": 1, "items": [line(unitPrice="cheap")]}, "items[0].unitPrice"),
    ({"userId": 1, "items": [{"sku": "a", "quantity": 1}]}, "items[0].unitPrice"),
    ({"userId": 1, "items": [line()] * 4}, "items"),
]


@pytest.mark.parametrize(("body", "field"), BAD)
async def test_a_refused_body_names_its_field(client: httpx.AsyncClient, body: object, field: str) -> None:
    """Validation is 400 problem JSON with the field's path and the older names beside the RFC's."""
    answer = await client.post("/api/baskets", json=body)
    problem = answer.json()
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["field"] == field
    assert problem["message"] == problem["detail"]
    assert field in problem["detail"]
    assert problem["code"] == "VALIDATION_FAILED"
    assert problem["path"] == "/api/baskets"
    assert problem["error"] == "Bad Request"
    assert problem["timestamp"].endswith("Z")
    assert problem["correlationId"] == answer.headers["x-correlation-id"]


MALFORMED = [
    b"{",
    b"",
    b"null",
    b"\xff\xfe",
    b'{"userId":1,"userId":NaN}',
    b"[" * 10_000 + b"]" * 10_000,
    b'{"deep":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    b'{"userId":1,"items":[{"sku":"\\u0000","quantity":1,"unitPrice":1}]}',
    b'{"userId":1,"items":[{"sku":"\\ud800","quantity":1,"unitPrice":1}]}',
]


@pytest.mark.parametrize("body", MALFORMED)
async def test_what_is_not_json_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    """Broken, empty, badly encoded or bottomless bodies are the client's fault: 400, and the process lives on."""
    answer = await client.post("/api/baskets", content=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await client.get("/healthz")).status_code == 200


async def test_a_body_beyond_the_limit_is_413(client: httpx.AsyncClient) -> None:
    """One byte above the limit is too much."""
    answer = await client.post("/api/baskets", content=b" " * (BODY_BYTES_MAX + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")


async def test_another_media_type_is_415(client: httpx.AsyncClient) -> None:
    """A form is not JSON, and the refusal says what to send."""
    answer = await client.post("/api/baskets", data={"a": "b"})
    assert answer.status_code == 415
    assert "application/json" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/nothing", 404, "NOT_FOUND"),
        ("DELETE", "/api/baskets", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/api/failures/none?page=two", 400, "VALIDATION_FAILED"),
        ("GET", "/api/failures/conflict", 409, "ORDER_FINAL"),
        ("GET", "/api/failures/away", 503, "UNAVAILABLE"),
        ("GET", "/api/failures/bug", 500, "INTERNAL_ERROR"),
    ],
)
async def test_every_refusal_is_a_problem(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    """Routing, parameters, business rules, an absent database and our own bugs all answer in one shape."""
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert ("retry-after" in answer.headers) == (status == 503)
    assert "ours" not in answer.text


async def test_money_keeps_its_digits(client: httpx.AsyncClient) -> None:
    """A price goes in as a JSON number or a string and comes out as a number with the same digits."""
    lines = b'[{"sku":"a","quantity":1,"unitPrice":12.10},{"sku":"b","quantity":1,"unitPrice":"0.30"}]'
    body = b'{"userId":7,"items":' + lines + b"}"
    answer = await client.post("/api/baskets", content=body)
    assert answer.status_code == 201
    assert b'"unitPrice":12.10' in answer.content
    assert b'"unitPrice":0.30' in answer.content


async def test_the_correlation_id_is_echoed_and_logged(client: httpx.AsyncClient) -> None:
    """The client's id comes back and stands in the log line; an unsafe one is replaced."""
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        answer = await client.post("/api/baskets", json={}, headers={"X-Correlation-Id": "mine-1"})
    assert answer.headers["x-correlation-id"] == "mine-1"
    assert answer.json()["correlationId"] == "mine-1"
    assert [one["correlation_id"] for one in lines] == ["mine-1"]
    unsafe = await client.get("/api/nothing", headers={"X-Correlation-Id": "a b" * 100})
    assert len(unsafe.headers["x-correlation-id"]) == 32


async def test_a_traceparent_is_the_cause(client: httpx.AsyncClient) -> None:
    """The trace id of the header, or a new one of the same shape."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    header = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    assert (await client.get("/api/failures/none", headers=header)).json()["trace"] == trace
    assert len((await client.get("/api/failures/none")).json()["trace"]) == 32


@pytest.mark.parametrize(
    "path",
    ["/healthz", "/readyz", "/actuator/health", "/actuator/health/liveness", "/actuator/health/readiness"],
)
async def test_health_has_its_aliases(client: httpx.AsyncClient, path: str) -> None:
    """Our paths and the original's say UP."""
    answer = await client.get(path)
    assert (answer.status_code, answer.json()) == (200, {"status": "UP"})


async def test_internal_health_names_the_service(client: httpx.AsyncClient) -> None:
    """{service, status, timestamp}, as the original answers."""
    body = (await client.get("/internal/health")).json()
    assert (body["service"], body["status"]) == ("shop", "UP")
    assert body["timestamp"].endswith("Z")


async def test_not_ready_is_503() -> None:
    """A shop whose database is away is alive and not ready."""

    async def no() -> bool:
        return False

    async with over(application(PARTS, ready=no)) as client:
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/internal/health")).json()["status"] == "OUT_OF_SERVICE"
        assert (await client.get("/healthz")).status_code == 200


@pytest.mark.parametrize("path", ["/metrics", "/actuator/prometheus"])
async def test_metrics_are_prometheus_text(client: httpx.AsyncClient, path: str) -> None:
    """The exposition format, with the process's own numbers in it."""
    answer = await client.get(path)
    assert "text/plain" in answer.headers["content-type"]
    assert "python_info" in answer.text


async def test_the_description_and_its_page(client: httpx.AsyncClient) -> None:
    """OpenAPI at both paths, and a page that needs nothing from anywhere else."""
    description = (await client.get("/openapi.json")).json()
    assert "/api/baskets" in description["paths"]
    assert (await client.get("/v3/api-docs")).json() == description
    page = (await client.get("/docs")).text
    assert "/api/baskets" in page
    assert "<script" not in page
    assert "https://" not in page


async def test_operators_paths_need_the_token_beyond_loopback() -> None:
    """No token 401, a wrong one 403, the right one in either header 200; other paths stay open."""
    path = "/api/orders/admin/saga/timeouts/run"
    async with over(application(PARTS, admission=admission("0.0.0.0", "s3cret"))) as client:
        assert (await client.post(path)).status_code == 401
        assert (await client.post(f"{path}/")).status_code == 401
        assert (await client.post(path, headers={"X-Admin-Token": "no"})).status_code == 403
        assert (await client.post(path, headers={"X-Admin-Token": "s3cret"})).status_code == 201
        assert (await client.post(path, headers={"Authorization": "Bearer s3cret"})).status_code == 201
        assert (await client.get("/api/failures/none")).status_code == 200
    async with over(application(PARTS, admission=admission("127.0.0.1", ""))) as client:
        assert (await client.post(path)).status_code == 201


def test_beyond_loopback_without_a_token_does_not_start() -> None:
    """The error names the setting."""
    with pytest.raises(SettingsError, match=r"app\.admin\.token"):
        admission("0.0.0.0", "")


async def test_a_problem_is_json_all_the_way(client: httpx.AsyncClient) -> None:
    """The whole body reads back, field and all."""
    problem = json.loads((await client.get("/api/failures/conflict")).content)
    assert (problem["field"], problem["title"]) == ("status", "Conflict")
