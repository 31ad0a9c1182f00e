"""One header of a request, from what the server read. The framework makes a mapping of all of them first: 13 µs."""

from __future__ import annotations

from litestar.types import Scope


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of a name, which is given in lower case; None where the request has none."""
    for each, value in scope["headers"]:
        if each == name:
            return value
    return None
