"""What became of an event from release to release: when it came, what of it changed, which versions stand beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dovecote.contracts.compatibility import Change, compare
from dovecote.contracts.snapshot import Snapshot
from dovecote.events import Event

UNRELEASED = "not yet released"
NEW = ("new",)
_VERSIONED = re.compile(r"(?P<stem>.+)\.v(?P<number>\d+)")

Readers = Mapping[str, Sequence[type[Event]]]


@dataclass(frozen=True, slots=True)
class Step:
    """What one release brought an event; ``version`` is UNRELEASED for what no release holds yet."""

    version: str
    what: tuple[str, ...]

    def __str__(self) -> str:
        if self.what == NEW:
            return self.version if self.version == UNRELEASED else f"since {self.version}"
        return f"{self.version}: {'; '.join(self.what)}"


def histories(
    now: Snapshot, releases: Sequence[tuple[str, Snapshot]], readers: Readers
) -> Mapping[str, tuple[Step, ...]]:
    """The steps of every event that is registered now, oldest first; ``releases`` are version and contracts."""
    stages = [("", Snapshot({}, {})), *releases, (UNRELEASED, now)]
    found: dict[str, list[Step]] = {name: [] for name in now.events}
    for (_, before), (version, after) in pairwise(stages):
        changes = compare(before, after, readers) if before.events and before != after else ()
        for name, steps in found.items():
            if name in after.events:
                what = _what(name, before, after, [change for change in changes if change.event == name])
                steps.extend([Step(version, what)] if what else [])
    return {name: tuple(steps) for name, steps in found.items()}


def neighbours(event: str, known: Iterable[str]) -> tuple[str | None, str | None]:
    """The nearest older and the nearest newer version of an event among the known ones."""
    own = _VERSIONED.fullmatch(event)
    if own is None:
        return None, None
    kin = sorted(
        (int(match["number"]), match[0])
        for match in map(_VERSIONED.fullmatch, set(known))
        if match is not None and match["stem"] == own["stem"]
    )
    older = [name for number, name in kin if number < int(own["number"])]
    newer = [name for number, name in kin if number > int(own["number"])]
    return (older[-1] if older else None), (newer[0] if newer else None)


def _what(name: str, before: Snapshot, after: Snapshot, changes: Sequence[Change]) -> tuple[str, ...]:
    if name not in before.events:
        return NEW
    if changes:
        return tuple(_sentence(change) for change in changes)
    same = before.schemas.get(name) == after.schemas.get(name) and before.events[name] == after.events[name]
    return () if same else ("its description",)


def _sentence(change: Change) -> str:
    place = f"`{change.pointer}`: " if change.pointer else ""
    whom = f" for {', '.join(change.breaks)}" if change.breaks else ""
    return f"{place}{change.what} ({change.verdict.value}{whom})"
