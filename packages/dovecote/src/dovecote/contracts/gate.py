"""The gate before a change: the check of what is here, and what is new held against what was promised before."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dovecote.contracts.check import check
from dovecote.contracts.code import Code
from dovecote.contracts.compatibility import Change, Verdict, compare
from dovecote.contracts.promise import Promise, rekeyed
from dovecote.contracts.release import Release, kept, may_not_go
from dovecote.contracts.report import Report, Ruling
from dovecote.contracts.schema import schema_problems, usable
from dovecote.contracts.snapshot import Snapshot


def gate(
    folder: Path,
    code: Code,
    *,
    released: Sequence[Release] = (),
    before: Promise | None = None,
    allow_unread: bool = False,
) -> Report:
    """Check the contracts in a folder, and rule on each change since ``before``, or else since the newest release.

    With ``allow_unread`` a breaking change of a field passes where every consumer's code is here and none reads it.
    Raises ContractError where a release cannot be read.
    """
    checked = check(folder, code)
    problems = [*checked.problems, *kept(checked.known, folder, released, code.root)]
    promises = [Promise.of_release(one) for one in released]
    if before is None and promises:
        before = promises[-1]
    if before is None:
        return Report(checked.events, checked.listeners, tuple(problems), (), "")
    problems += before.lost
    now = Snapshot(checked.events, checked.schemas)
    # What the check calls broken is not compared as well: it would look like an event that went.
    contracts = _without(before.contracts, checked.known - checked.schemas.keys())
    changes = [*_compare(contracts, now, code.readers), *rekeyed(contracts, now), *before.moved(checked.events, code)]
    shipped = [promise.contracts for promise in promises]
    rulings = tuple(_rule(changes, contracts, now, code.readers, shipped=shipped, allow_unread=allow_unread))
    return Report(checked.events, checked.listeners, tuple(problems), rulings, before.name)


def between(old: Promise, new: Snapshot, *, allow_unread: bool = False) -> Report:
    """Rule on each change between two versions of contracts whose code is not here; the old one was released."""
    broken = {name: schema for name, schema in new.schemas.items() if not usable(schema)}
    problems = tuple(
        problem
        for name, schema in broken.items()
        for problem in schema_problems(str(new.events[name]["schema_file"]), schema)
    )
    before, now = _without(old.contracts, broken), _without(new, broken)
    changes = [*_compare(before, now, {}), *rekeyed(before, now)]
    rulings = _rule(changes, before, now, {}, shipped=[before], allow_unread=allow_unread)
    return Report(new.events, {}, problems, tuple(rulings), old.name)


def _compare(before: Snapshot, now: Snapshot, readers: Mapping[str, Any]) -> list[Change]:
    """Every change; of a schema before that was none, nothing was ever said, for no service started with it."""
    none = {name for name, schema in before.schemas.items() if not usable(schema)}
    what = "its schema before was no JSON Schema, so nothing is compared"
    changes = [Change(name, "", what, Verdict.COMPATIBLE) for name in none & now.events.keys()]
    return [*changes, *compare(_without(before, none), _without(now, none), readers)]


def _rule(
    changes: Sequence[Change],
    before: Snapshot,
    now: Snapshot,
    readers: Mapping[str, Any],
    *,
    shipped: Sequence[Snapshot],
    allow_unread: bool,
) -> Iterator[Ruling]:
    for change in changes:
        consumers = _consumers(change.event, before) | _consumers(change.event, now)
        # A Struct that is not here may read anything.
        known = replace(change, unread=change.unread and consumers <= readers.keys())
        stops, why = _verdict(known, before, now, shipped, allow_unread=allow_unread)
        yield Ruling(known, stops, why, tuple(sorted(consumers)))


def _verdict(
    change: Change, before: Snapshot, now: Snapshot, shipped: Sequence[Snapshot], *, allow_unread: bool
) -> tuple[bool, str]:
    """Whether a change stops at the gate, and the mend; or why it passes although it breaks."""
    if not change.verdict.breaking:
        return False, ""
    if change.unread and allow_unread:
        return False, "no consumer reads it, and that was allowed"
    if change.event in before.events and change.event not in now.events:
        early = may_not_go(change.event, now, before, shipped)
        return (True, early) if early else (False, "a release shipped it beside the newer version that is heard now")
    return True, change.mend


def _consumers(event: str, snapshot: Snapshot) -> set[str]:
    named = snapshot.events.get(event, {}).get("consumers")
    return {name for name in named if isinstance(name, str)} if isinstance(named, list) else set()


def _without(snapshot: Snapshot, names: Collection[str]) -> Snapshot:
    return Snapshot(
        {name: entry for name, entry in snapshot.events.items() if name not in names},
        {name: schema for name, schema in snapshot.schemas.items() if name not in names},
    )
