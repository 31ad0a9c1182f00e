"""The short road answers as Litestar does, whatever is sent; and the usual request does take it."""

from __future__ import annotations

from typing import Annotated, Any

import httpx
import msgspec
import pytest
from litestar import Litestar, MediaType, Request, get, post
from litestar.params import FromHeader, FromPath, FromQuery, JSONBody, QueryParameter

from dovecote.errors import UnavailableError
from ecom.web.application import BODY_BYTES_MAX, application
from ecom.web.built import Built
from ecom.web.correlation import cause_of
from ecom.web.express import EXPRESS, Call
from ecom.web.problems import Problem

TRACE = "0af7651916cd43dd8448eb211c80319c"
JSON = {"Content-Type": "application/json"}
ONE_BODY = b'{"name":"bread","count":2}'


class Wish(msgspec.Struct):
    """A body with bounds."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    count: Annotated[int, msgspec.Meta(ge=1)]


def handlers(opt: dict[str, Any]) -> list[Any]:
    """Four calls, all of them on one road."""

    @post("/api/wishes", opt=opt)
    async def wish(data: JSONBody[Wish], request: Request[Any, Any, Any]) -> dict[str, Any]:
        match data.name:
            case "taken":
                raise Problem(409, "TAKEN", "It is taken.", field="name", headers={"Retry-After": "2"})
            case "away":
                raise UnavailableError("The database did not answer.")
            case "bug":
                raise ZeroDivisionError("ours")
        return {"name": data.name, "trace": cause_of(request).trace_id}

    @post("/api/wishes/release", opt=opt, status_code=200)
    async def release(data: JSONBody[Wish]) -> Wish:
        return data

    @get("/api/wishes/{name:str}", opt=opt)
    async def show(name: FromPath[str], request: Request[Any, Any, Any]) -> dict[str, Any]:
        return {"name": name, "agent": request.headers.get("user-agent")}

    @get("/api/shelves", media_type=MediaType.JSON, opt=opt)
    async def shelves(
        q: Annotated[str, QueryParameter(max_length=9)] = "",
        page: Annotated[int, QueryParameter(ge=0, le=9)] = 0,
        full: FromQuery[bool] = True,  # noqa: FBT002
        price: FromQuery[str | None] = None,
    ) -> bytes:
        return msgspec.json.encode([q, page, full, price])

    return [wish, release, show, shelves]


async def yes() -> bool:
    """Ready."""
    return True


def shop(opt: dict[str, Any]) -> Litestar:
    """The three calls in the application that all services share."""
    parts: Any = [(Built(blueprint=None, routes=lambda _: handlers(opt)), None)]  # type: ignore[arg-type]
    return application(parts, ready=yes)


async def chunks() -> Any:
    """A body whose length nobody says before."""
    yield ONE_BODY[:9]
    yield ONE_BODY[9:]


REQUESTS: dict[str, dict[str, Any]] = {
    "usual": {"content": ONE_BODY, "headers": {**JSON, "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}},
    "status of its own": {"path": "/api/wishes/release", "content": ONE_BODY},
    "no content type": {"content": ONE_BODY},
    "another content type": {"content": ONE_BODY, "headers": {"Content-Type": "text/xml"}},
    "a suffix of JSON": {
        "content": ONE_BODY,
        "headers": {"Content-Type": "application/merge-patch+json; charset=utf-8"},
    },
    "no body": {},
    "empty body": {"content": b"", "headers": JSON},
    "chunked": {"content": "chunks", "headers": JSON},
    "not JSON": {"content": b"{", "headers": JSON},
    "not UTF-8": {"content": b'{"name":"\xff","count":1}', "headers": JSON},
    "U+0000": {"content": b'{"name":"a\\u0000","count":1}', "headers": JSON},
    "a field missing": {"content": b'{"name":"bread"}', "headers": JSON},
    "a field out of bounds": {"content": b'{"name":"bread","count":0}', "headers": JSON},
    "unknown field": {"content": b'{"name":"bread","count":1,"more":1}', "headers": JSON},
    "too large": {"content": b" " * (BODY_BYTES_MAX + 1), "headers": JSON},
    "nested too deep": {"content": b"[" * 100_000, "headers": JSON},
    "conflict": {"content": b'{"name":"taken","count":1}', "headers": JSON},
    "unavailable": {"content": b'{"name":"away","count":1}', "headers": JSON},
    "a bug": {"content": b'{"name":"bug","count":1}', "headers": JSON},
    "query": {"path": "/api/wishes?x=1", "content": ONE_BODY, "headers": JSON},
    "slash at the end": {"path": "/api/wishes/", "content": ONE_BODY, "headers": JSON},
    "two slashes": {"path": "//api//wishes", "content": ONE_BODY, "headers": JSON},
    "bad host": {"content": ONE_BODY, "headers": {**JSON, "Host": "sh op"}},
    "another method": {"method": "PUT", "content": ONE_BODY, "headers": JSON},
    "options": {"method": "OPTIONS"},
    "read": {"method": "GET", "path": "/api/wishes/bread"},
    "read an escaped name": {"method": "GET", "path": "/api/wishes/a%20b%C3%A9"},
    "read an escaped slash": {"method": "GET", "path": "/api/wishes/a%2Fb"},
    "head": {"method": "HEAD", "path": "/api/wishes/bread"},
    "unknown": {"method": "GET", "path": "/api/wishes/bread/more"},
    **{
        f"asked {query}": {"method": "GET", "path": f"/api/shelves?{query}"}
        for query in (
            "q=bread&page=2&full=false&price=1.5",
            "q=a+b%C3%A9%26%3D&full=1",
            "q=",
            "q",
            "&q=a&&page=1&",
            "q=a=b;page=2",
            "q=a&q=b",
            "q=bread%20and%20butter",
            "q=%00",
            "q=%ff",
            "q=%zz",
            "page=10",
            "page=-1",
            "page=1.0",
            "page=01",
            "page=%201",
            "page=",
            "page=a",
            "full=yes",
            "full=TRUE",
            "full=",
            "price=null",
            "price=",
            "more=1",
        )
    },
}


async def said(app: Litestar, request: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
    """Status, headers and body, without what differs in every answer."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        content = chunks() if request.get("content") == "chunks" else request.get("content")
        headers = {"X-Correlation-Id": "same", "User-Agent": "test", **request.get("headers", {})}
        answer = await client.request(
            request.get("method", "POST"), request.get("path", "/api/wishes"), content=content, headers=headers
        )
    body: Any = answer.text
    if answer.headers.get("content-type", "").endswith("json") and answer.text:
        body = answer.json()
        if isinstance(body, dict):
            body.pop("timestamp", None)
            if "traceparent" not in headers:
                body.pop("trace", None)
    return answer.status_code, dict(sorted(answer.headers.items())), body


@pytest.mark.parametrize("name", REQUESTS)
async def test_both_roads_say_the_same(name: str) -> None:
    """Status, headers and body do not tell which road a request took."""
    request = REQUESTS[name]
    assert await said(shop(EXPRESS), request) == await said(shop({}), request)


@pytest.mark.parametrize(
    ("name", "is_short"),
    [
        ("usual", True),
        ("read", True),
        ("asked q=bread&page=2&full=false&price=1.5", True),
        ("asked more=1", False),
        ("chunked", False),
        ("query", False),
    ],
)
async def test_the_usual_request_takes_the_short_road(
    name: str,
    is_short: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Litestar's router sees only what is unusual."""
    app, seen = shop(EXPRESS), []
    inner = app.asgi_handler._app._app  # type: ignore[attr-defined]

    async def router(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await inner(scope, receive, send)

    monkeypatch.setattr(app.asgi_handler._app, "_app", router)  # type: ignore[attr-defined]
    status, _, _ = await said(app, REQUESTS[name])
    assert status in {200, 201}
    assert (seen == []) is is_short


def test_a_call_that_needs_more_is_refused_when_it_is_made() -> None:
    """A header, a query parameter that must be given, and a path that operators' guards watch are left to Litestar."""

    @get("/api/wishes", opt=EXPRESS)
    async def listed(agent: FromHeader[str] = "") -> str:
        return agent

    @get("/api/wishes", opt=EXPRESS)
    async def found(page: FromQuery[int]) -> int:
        return page

    @post("/api/orders/admin/run", opt=EXPRESS)
    async def run() -> str:
        return ""

    for handler in (listed, found, run):
        with pytest.raises(ValueError, match="short road"):
            Call.of(handler)
