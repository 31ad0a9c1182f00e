"""A message in the simulated Kafka, as the client library hands it out."""

from __future__ import annotations

from typing import Any

Place = tuple[str, int]
"""Topic and partition."""


class Record:
    """A message as the client library hands it out."""

    __slots__ = ("_at", "_headers", "_key", "_offset", "_value")

    def __init__(self, at: Place, offset: int, key: bytes | None, value: bytes | None, headers: Any) -> None:
        self._at, self._offset, self._key, self._value, self._headers = at, offset, key, value, headers

    def topic(self) -> str:
        return self._at[0]

    def partition(self) -> int:
        return self._at[1]

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def headers(self) -> Any:
        return self._headers

    def error(self) -> None:
        return None
