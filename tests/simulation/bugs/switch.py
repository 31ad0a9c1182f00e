"""How a bug is switched on: something of the production code is something else for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

Change = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Bug:
    """A rule's row, what is done against it, and the changes that do it."""

    row: str
    what: str
    changes: tuple[Change, ...]

    @contextmanager
    def switched_on(self) -> Iterator[None]:
        with ExitStack() as stack:
            for change in self.changes:
                stack.enter_context(change())
            yield


def swapped(owner: Any, name: str, other: Any) -> Change:
    """An attribute has another value."""

    @contextmanager
    def change() -> Iterator[None]:
        before = getattr(owner, name)
        setattr(owner, name, other)
        try:
            yield
        finally:
            setattr(owner, name, before)

    return change


def wrapped(owner: Any, name: str, around: Callable[[Any], Any]) -> Change:
    """An attribute is what ``around`` makes of it."""

    @contextmanager
    def change() -> Iterator[None]:
        with swapped(owner, name, around(getattr(owner, name)))():
            yield

    return change


def entries(table: Any, others: dict[Any, Any]) -> Change:
    """A table says something else in some of its places."""

    @contextmanager
    def change() -> Iterator[None]:
        cells: MutableMapping[Any, Any] = table
        before = {key: cells[key] for key in others}
        cells.update(others)
        try:
            yield
        finally:
            cells.update(before)

    return change
