"""A record as the client gives it."""

from __future__ import annotations

from collections.abc import Sequence
from operator import methodcaller
from typing import Any

import msgspec

Assignment = tuple[str, int]


class Message(msgspec.Struct, frozen=True, gc=False):
    """One record as it came, undecoded."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]

    @property
    def place(self) -> Assignment:
        """The partition that it came from."""
        return self.topic, self.partition


# On a header whose name is not UTF-8 the client returns a list with a hole AND sets an exception. A call written
# as record.headers() is specialised by CPython once it is hot, no longer sees the exception, and the process dies
# on the hole; a call through methodcaller is checked each time.
_headers = methodcaller("headers")


def headers_of(record: Any) -> Sequence[tuple[str, bytes | None]]:
    """A record's headers; none at all where the client cannot read one of their names."""
    try:
        return _headers(record) or ()
    except (SystemError, UnicodeDecodeError):
        return ()
