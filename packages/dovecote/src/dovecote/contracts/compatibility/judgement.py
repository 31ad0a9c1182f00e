"""One of the two questions about two schemas: whether the one side may read whatever the other writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dovecote.contracts.compatibility.inclusion import included
from dovecote.contracts.compatibility.instances import Instances
from dovecote.contracts.compatibility.normal import Schema
from dovecote.contracts.compatibility.witness import accepts, smallest
from dovecote.contracts.compatibility.world import closed

TRIED_MAX = 500
"""How many instances are shown to the consumers, at most."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether something breaks, and the instance that shows it; broken without one means: cannot be shown whole."""

    broken: bool
    witness: Any | None = None


class Question:
    """Whether every closed-world value of ``writer`` is valid under ``reader``, the schema as it stands."""

    def __init__(self, writer: Schema, reader: Schema) -> None:
        self.writes = closed(writer)
        self.reader = reader
        self._written = accepts(self.writes)
        self._read = accepts(reader)

    @cached_property
    def proved(self) -> bool:
        """Whether a proof was found that it is."""
        return included(self.writes, self.reader)

    @cached_property
    def refused(self) -> list[Any]:
        """Instances that the writer may write and the reader refuses, as far as they were found, small ones first."""
        return [one for one in self.instances if not self._read(one)]

    @cached_property
    def instances(self) -> list[Any]:
        """Instances that the writer may write, which try the edges of both sides."""
        return Instances(self.writes, self.reader).all()

    def answer(self) -> Answer:
        """The answer for the two schemas as a whole."""
        if self.proved:
            return Answer(broken=False)
        return Answer(broken=True, witness=smallest(self.refused, self.shows))

    def answer_of(self, step: Schema, prefer: Callable[[Any], bool]) -> Answer:
        """The answer for one edit: ``step`` is the writer's schema with what the reader's says in that one place.

        What breaks by this edit alone, and is not taken up by another one, is broken by it. A witness that
        ``prefer`` likes (a consumer trips over it) is taken before a smaller one.
        """
        if self.proved or included(self.writes, step):
            return Answer(broken=False)
        fits = accepts(step)
        alone = [one for one in self.instances if not fits(one)]
        if not alone:
            alone = [one for one in Instances(self.writes, step).all() if not fits(one)]
        if not alone:
            return Answer(broken=True)
        both = [one for one in alone if not self._read(one)]
        if not both:
            return Answer(broken=False)

        def shows(one: Any) -> bool:
            return self.shows(one) and not fits(one)

        liked = smallest(both[:TRIED_MAX], lambda one: prefer(one) and shows(one))
        return Answer(broken=True, witness=liked if liked is not None else smallest(both, shows))

    def shows(self, one: Any) -> bool:
        """Whether an instance may be written and is not read."""
        return self._written(one) and not self._read(one)
