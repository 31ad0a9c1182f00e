"""The clients' journal: what they asked and what they were answered, written by them and never by the shop.

One JSON object a line, in the order in which a client did it, so that an answer stands before whatever was asked after
it. A call has a line when it is sent and one when its answer is there; one that was never answered has only the first:

    {"line": "asked", "client": "ann", "call": 7, "method": "POST", "path": "/api/orders", "key": "k1",
     "trace": "4bf92f3577b34da6a3ce929d0e0e4736", "body": {…}}
    {"line": "answered", "client": "ann", "call": 7, "status": 201, "body": {…}}

`client` and `call` together name a call. `key` is its Idempotency-Key; `trace` is the trace id of its traceparent, the
same whenever a key is sent again: by it an order is found whose answer was lost. A body that is no JSON is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from dovecote import DovecoteError


class JournalError(DovecoteError):
    """The journal cannot be read: it is not there, or damaged before its last line."""


NO_BODY = msgspec.Raw(b"")


class Asked(msgspec.Struct, frozen=True, tag="asked", tag_field="line", omit_defaults=True):
    """A call that a client sent."""

    client: str
    call: int
    method: str
    path: str
    key: str | None = None
    trace: str | None = None
    body: msgspec.Raw = NO_BODY


class Answered(msgspec.Struct, frozen=True, tag="answered", tag_field="line", omit_defaults=True):
    """The answer to it: the HTTP status, and the body."""

    client: str
    call: int
    status: int
    body: msgspec.Raw = NO_BODY


Line = Asked | Answered

encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Line).decode


def read(path: Path) -> Iterator[Line]:
    """Every line in order; a torn last one was never finished. Raises JournalError naming a damaged one."""
    try:
        lines = path.open("rb")
    except OSError as error:
        raise JournalError(f"The journal {path} cannot be read: {error.strerror}.") from error
    with lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield _decode(line)
            except msgspec.MsgspecError as error:
                raise JournalError(f"Line {number} of {path.name} is no line of a journal: {error}.") from error
