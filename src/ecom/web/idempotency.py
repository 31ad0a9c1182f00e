"""Idempotency-Key: the name that a client gives to a request, so that it can be sent again and is done once.

While a request runs, another one with its key is refused with 409; afterwards it gets the same answer, or 422 where its
body is another one. A key is optional; whoever sends none is never refused for one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from litestar import Request

from ecom.web.headers import header
from ecom.web.problems import RETRY_AFTER_SECONDS, Problem

HEADER = "Idempotency-Key"
_HEADER = HEADER.lower().encode()


class Running:
    """The keys of the requests that run in this process.

    What runs in other processes only the database can tell; but two of this process could share one transaction, or
    wait together for news of a price, where it would see no difference between them.
    """

    def __init__(self) -> None:
        self._keys: set[str] = set()

    @contextmanager
    def hold(self, key: str | None) -> Iterator[bool]:
        """Keep a key while its request runs; False, and nothing is kept, where one with the same key is running."""
        if key is None:
            yield True
        elif key in self._keys:
            yield False
        else:
            self._keys.add(key)
            try:
                yield True
            finally:
                self._keys.discard(key)


def key_of(request: Request[Any, Any, Any], *, length_max: int) -> str | None:
    """The key of a request, None where it has none. Raises Problem 400 where it promises nothing."""
    sent = header(request.scope, _HEADER)
    if sent is None:
        return None
    given = sent.decode("latin-1")
    if not given.strip() or len(given) > length_max or not given.isprintable():
        sentence = f"{HEADER}: 1 to {length_max} printable characters are needed."
        raise Problem(400, "VALIDATION_FAILED", sentence, field=HEADER)
    return given


def in_use(field: str = HEADER) -> Problem:
    """The first request with this key has no answer yet."""
    return Problem(
        409,
        "IDEMPOTENCY_KEY_IN_USE",
        f"A request with this {field} is still running; send yours again to get its answer.",
        field=field,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def reused(field: str = HEADER) -> Problem:
    """The key names another request."""
    return Problem(
        422,
        "IDEMPOTENCY_KEY_REUSED",
        f"This {field} came with another body before; use a new key for a new request.",
        field=field,
    )
