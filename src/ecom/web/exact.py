"""JSON in and out without losing a digit: bodies go straight into their Struct, Decimals answer as numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
from litestar import MediaType, Request, Response
from litestar.exceptions import ClientException
from litestar.serialization import default_serializer
from litestar.typing import FieldDefinition

from ecom.web.problems import Problem

_untyped = msgspec.json.Decoder(float_hook=Decimal)
# PostgreSQL's text cannot hold U+0000, and no field of ours wants it.
_NUL, _ESCAPED_NUL = b"\x00", b"\\u0000"


@functools.cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


class ExactRequest(Request[Any, Any, Any]):
    """A request whose JSON goes through msgspec in one strict pass, so that a refusal knows the path of the field.

    Litestar's own way (to builtins, then to the Struct) turns a price into a float first.
    """

    async def json(self) -> Any:
        """Decode the body into the type of the handler's ``data``; raises Problem where it is not that."""
        return decode(await self.body(), self.headers.get("content-type"), self.route_handler.parsed_data_field)


def decode(body: bytes, content_type: str | None, field: FieldDefinition | None) -> Any:
    """Decode a body into the type of a handler's ``data``; raises Problem where it is not that."""
    _require_json(content_type)
    if _NUL in body or _ESCAPED_NUL in body:
        raise Problem(400, "MALFORMED_BODY", "The body contains the character U+0000; leave it out.")
    return (_untyped if field is None else _decoder(field.annotation)).decode(body)


class ExactResponse(Response[Any]):
    """A response whose JSON writes a Decimal as a number with exactly its digits."""

    def render(self, content: Any, media_type: str, enc_hook: Callable[[Any], Any] = default_serializer) -> bytes:
        """Encode the content; anything that is not JSON goes Litestar's way."""
        if media_type != MediaType.JSON or isinstance(content, (bytes, str)):
            return super().render(content, media_type, enc_hook)
        return encode(content)


_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=default_serializer)
encode = _encoder.encode


def _require_json(header: str | None) -> None:
    """Refuse a body that says it is something else; one that says nothing is taken for JSON."""
    if header is None:
        return
    kind = header.split(";", 1)[0].strip().lower()
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise ClientException(
            status_code=415, detail=f"The body is {kind[:60]}; send it with Content-Type: application/json."
        )
