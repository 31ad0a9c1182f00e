"""The corpus: hand-written edits of schemas with the verdict that each deserves, and instances that prove it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dovecote.contracts.compatibility import Change, Verdict, schema_changes
from tests.contracts.compatibility.oracle import DisagreementError, Oracle
from tests.contracts.compatibility.universe import Universe

FOLDER = Path(__file__).parent / "corpus"
UNDECIDED = "undecided.yml"


@dataclass(frozen=True)
class Case:
    """One edit. ``new_only`` are what the new side may write and the old one refuses, ``old_only`` the reverse."""

    name: str
    old: Any
    new: Any
    verdict: Verdict
    new_only: tuple[Any, ...] = ()
    old_only: tuple[Any, ...] = ()


def cases(file: Path) -> list[Case]:
    """The cases of one file; those about one value are put into a payload that requires it."""
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    inside = document["within"] == "value"
    made = []
    for entry in document["cases"]:
        old, new = (_payload(entry[side]) if inside else entry[side] for side in ("old", "new"))
        proofs = [
            tuple({"value": one} if inside else one for one in entry.get(side, ())) for side in ("new_only", "old_only")
        ]
        made.append(Case(f"{file.stem}: {entry['name']}", old, new, Verdict(entry["verdict"]), *proofs))
    return made


def decided() -> list[Case]:
    """Every case whose truth the checker must tell."""
    return [case for file in sorted(FOLDER.glob("*.yml")) if file.name != UNDECIDED for case in cases(file)]


def undecided() -> list[Case]:
    """Every case beyond the checker."""
    return cases(FOLDER / UNDECIDED)


def judged(case: Case) -> tuple[Verdict, tuple[Change, ...]]:
    """What the checker says of a case: the verdict of all changes together, and the changes."""
    changes = schema_changes("thing.happened.v1", case.old, case.new)
    return together(changes), changes


def together(changes: Iterable[Change]) -> Verdict:
    """The verdict of several changes: whoever breaks by one of them breaks."""
    broken = {side for change in changes for side in sides(change.verdict)}
    return Verdict.of(readers="readers" in broken, writers="writers" in broken)


def sides(verdict: Verdict) -> frozenset[str]:
    """Who breaks: readers, writers, both or nobody."""
    return frozenset({"readers", "writers"} & set(verdict.value.split()))


def shown(writer: Any, reader: Any, instances: Iterable[Any]) -> Iterator[Any]:
    """The instances that break a reader: valid and declared on the writing side, refused on the reading one."""
    writes, reads = Oracle(writer), Oracle(reader)
    for one in instances:
        if writes.quickly_reads(one) is True and reads.quickly_reads(one) is False:
            try:
                if writes.reads(one) and not reads.reads(one) and writes.declares(one):
                    yield one
            except DisagreementError:
                continue  # what the validators differ about proves nothing


def truth(old: Any, new: Any, seed: int = 0) -> Verdict:
    """The verdict that instances alone give."""
    instances = Universe(old, new, seed).instances()
    return Verdict.of(
        readers=any(True for _ in shown(new, old, instances)), writers=any(True for _ in shown(old, new, instances))
    )


def confirm(change: Change, old: Any, new: Any) -> None:
    """Both validators say of a change's witnesses what the change says: declared on one side, refused on the other."""
    witnesses = [json.loads(text) for text in (change.witness, change.witness_old) if text is not None]
    assert len(witnesses) == len(sides(change.verdict)), change
    for side, witness in zip(sorted(sides(change.verdict)), witnesses, strict=True):
        writer, reader = (new, old) if side == "readers" else (old, new)
        assert list(shown(writer, reader, [witness])), (side, change)


def _payload(schema: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"value": schema}, "required": ["value"]}
