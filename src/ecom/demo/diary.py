"""The customers' diary: each call and each answer, a line of its own before anything else is done; for the audit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ecom.audit.journal import NO_BODY, Answered, Asked, Line, encode

FILE = "journal.ndjson"
KEY, TRACE = "Idempotency-Key", "traceparent"
NOTHING: Mapping[str, str] = {}


class Diary:
    """One run's journal, in the place of the last one's. A line is with the system before its call goes on."""

    def __init__(self, path: Path, client: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb", buffering=0)
        self._client = client
        self._calls = 0

    def asked(
        self, method: str, path: str, *, headers: Mapping[str, str] = NOTHING, data: bytes = b"", **_: Any
    ) -> int:
        """Write down a call that is about to be sent; says its number."""
        self._calls += 1
        trace = headers.get(TRACE, "").split("-")[1:2]
        line = Asked(self._client, self._calls, method, path, headers.get(KEY), next(iter(trace), None), _json(data))
        self._write(line)
        return self._calls

    def answered(self, call: int, status: int, body: bytes) -> None:
        """Write down what a call was answered with."""
        self._write(Answered(self._client, call, status, _json(body)))

    def close(self) -> None:
        """Nothing more will be written."""
        self._file.close()

    def _write(self, line: Line) -> None:
        self._file.write(encode(line) + b"\n")


def _json(body: bytes) -> msgspec.Raw:
    """A body as part of a line; what is no JSON object on one line is left out."""
    return msgspec.Raw(body) if body.startswith(b"{") and b"\n" not in body else NO_BODY
