"""One difference between two versions of the contracts: where, what, whom it breaks, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a change does to those who do not change with it; the value is what a person reads."""

    COMPATIBLE = "compatible"
    BREAKS_READERS = "breaks readers"
    BREAKS_WRITERS = "breaks writers"
    BREAKS_BOTH = "breaks readers and writers"

    @classmethod
    def of(cls, *, readers: bool, writers: bool) -> Verdict:
        """The verdict of two answers: whether old readers break, and whether old writers do."""
        if readers and writers:
            return cls.BREAKS_BOTH
        if readers:
            return cls.BREAKS_READERS
        return cls.BREAKS_WRITERS if writers else cls.COMPATIBLE

    @property
    def breaking(self) -> bool:
        """Whether the change may pass only as a new version of the event."""
        return self is not Verdict.COMPATIBLE


@dataclass(frozen=True, slots=True)
class Change:
    """One difference of one event.

    ``pointer`` is a JSON pointer into the event's schema: the new one, or the old one for what was taken away; "" means
    the whole, or the registry's entry. ``breaks`` names the services whose own Struct refuses an event that shows
    the difference; ``loses`` those whose Struct reads a field that may now be missing, and goes on without it.
    ``reads`` are all whose Struct looks at the field, and ``unread`` says that there is nobody. ``witness`` is the
    smallest payload found, as JSON, that one side may write and the other side's schema refuses: a new event where
    readers break, else an old one; where both break, ``witness_old`` is the old one. None where the change is
    compatible or cannot be decided.
    """

    event: str
    pointer: str
    what: str
    verdict: Verdict
    breaks: tuple[str, ...] = ()
    unread: bool = False
    witness: str | None = None
    mend: str = ""
    loses: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    witness_old: str | None = None
