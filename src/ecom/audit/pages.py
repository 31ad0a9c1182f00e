"""Pages: what is too much for one statement is asked a bounded number at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

ASKED_AT_ONCE = 10_000


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    """Lists of so many that one statement can be asked about."""
    iterator = iter(items)
    while chunk := list(islice(iterator, ASKED_AT_ONCE)):
        yield chunk
