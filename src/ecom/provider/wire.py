"""The simulator's wire: a JSON object a line, each way, so that one HTTP request carries many operations."""

from collections.abc import Iterator
from typing import Annotated

import msgspec

from ecom.provider.interface import Held

NDJSON = "application/x-ndjson"
LINE_BYTES_MAX = 16_384

APPROVED, DECLINED, MALFORMED, ABSENT, CONFLICT, UNAVAILABLE = 200, 402, 400, 404, 409, 503


Name = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
Currency = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
Minor = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Order(msgspec.Struct, frozen=True, rename="camel", kw_only=True, omit_defaults=True):
    """One operation to perform; the operation itself is the path of the request."""

    key: Name
    reference: Name
    amount_minor: Minor
    currency: Currency
    payment_method: str | None = None


class Reply(msgspec.Struct, frozen=True, rename="camel", kw_only=True, omit_defaults=True):
    """The answer to one operation, with the HTTP status that a call for it alone would have had."""

    key: str
    status: int
    provider_id: str | None = None
    reason: str | None = None


class Question(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    reference: Name


class Sight(msgspec.Struct, frozen=True, rename="camel", kw_only=True, omit_defaults=True):
    """What the simulator holds under a reference."""

    reference: str
    held: Held
    provider_id: str | None = None
    reason: str | None = None
    amount_minor: int | None = None
    currency: str | None = None


class Lines:
    """Cuts a stream of chunks into lines; a line longer than the limit is an error, not a memory leak."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > LINE_BYTES_MAX:
            raise ValueError(f"a line is longer than {LINE_BYTES_MAX} bytes")
        yield from (line for line in whole if line)

    def end(self) -> Iterator[bytes]:
        """A last line may come without its newline."""
        if self._rest:
            yield self._rest
            self._rest = b""
