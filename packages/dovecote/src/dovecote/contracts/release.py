"""Released contracts: a copy of what each release shipped, kept for ever; and when a released event may go."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dovecote.contracts.examples import EXAMPLES, golden
from dovecote.contracts.problem import Problem, shown
from dovecote.contracts.registry import REGISTRY_FILE
from dovecote.contracts.snapshot import Snapshot
from dovecote.errors import ContractError

SUMS = "SHA256SUMS"
TOPICS = "topics.json"
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_EVENT = re.compile(r"(?P<stem>.+)\.v(?P<number>\d+)")


@dataclass(frozen=True, slots=True)
class Release:
    """One release's contracts: its version and the folder with registry, schemas, examples, topics and their sums."""

    version: str
    folder: Path

    def snapshot(self) -> Snapshot:
        """What was promised; raises ContractError where the copy is broken."""
        return Snapshot.of_folder(self.folder)


def releases(folder: Path) -> tuple[Release, ...]:
    """The releases in a folder, oldest first; raises ContractError for a folder whose name is no version."""
    found = [Release(path.name, path) for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    return tuple(sorted(found, key=lambda release: _numbers(release.version)))


def release(version: str, contracts: Path, folder: Path, topics: Mapping[str, str] | None = None) -> Release:
    """Copy registry, schemas and examples to ``folder/version``, with the topics of events and a sum of each file.

    For contracts that were checked and compared with the newest release. Raises ContractError where the version is
    none, is there already, or is older than the newest.
    """
    number, before = _numbers(version), releases(folder)
    if any(known.version == version for known in before):
        raise ContractError(f"{version} is released already and stays as it is; name a newer version.")
    if before and number < _numbers(before[-1].version):
        raise ContractError(f"{version} is older than {before[-1].version}, the newest; name a newer version.")
    making = folder / f".{version}"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    shutil.copy(contracts / REGISTRY_FILE, making)
    for part in ("schemas", EXAMPLES):
        shutil.copytree(contracts / part, making / part)
    (making / TOPICS).write_text(json.dumps(topics or {}, indent=2) + "\n", encoding="utf-8")
    (making / SUMS).write_text(_sums(making), encoding="utf-8")
    return Release(version, making.rename(folder / version))


def kept(known: Collection[str], contracts: Path, released: Sequence[Release], root: Path) -> Iterator[Problem]:
    """Each released file that was changed, and each released example that is gone from the contracts or differs.

    The examples of an event that is ``known`` no more stay in the release; those of one that is registered stay where
    they were, too, so that today's schema and Structs are held against them.
    """
    today = golden(contracts)
    for one in released:
        place = shown(one.folder.resolve(), root)
        if _read(one.folder / SUMS) != _sums(one.folder):
            mend = f"restore it as {one.version} shipped it; a change is a release of its own"
            yield Problem(f"{place}/{SUMS}", "", "the released files are not those whose sums it holds", mend)
        for event, examples in golden(one.folder).items():
            for name, content in examples.items():
                found = today.get(event, {}).get(name)
                if event in known and found != content:
                    file = f"{shown(contracts.resolve(), root)}/{EXAMPLES}/{event}/{name}.json"
                    wrong = "is gone" if found is None else "was changed"
                    mend = f"copy it back from {place}, and write a new one beside it"
                    yield Problem(file, "", f"an example of release {one.version} {wrong}", mend)


def may_not_go(event: str, now: Snapshot, before: Snapshot, released: Sequence[Snapshot]) -> str | None:
    """Why an event may not be dropped yet, as a sentence; None where it may.

    A breaking change is a new event: ``order.created.v2`` is registered and written beside ``order.created.v1``. Both
    are released together at least once; meanwhile every consumer moves. Then ``v1`` may go, provided that

    - a newer version of it is registered now,
    - some release shipped the two together, and
    - each service that the contract before still named as a consumer of ``v1`` is one of the newer version now.

    A consumer that wants neither any more is taken out of ``v1`` in a release before. That nothing handles ``v1`` any
    longer, and that the newer one has its writer, is what the check says of any registered event.
    """
    heirs = [name for name in now.events if _follows(name, event)]
    if not heirs:
        return f"no newer version of {event} is registered; publish {_next(event)} beside it first"
    together = [heir for heir in heirs if any({event, heir} <= shipped.events.keys() for shipped in released)]
    if not together:
        return f"no release has shipped {event} and {heirs[0]} together; release both, then drop it in the next"
    hearing = {service for heir in together for service in now.events[heir].get("consumers", ())}
    if left := sorted(set(before.events[event].get("consumers", ())) - hearing):
        return f"{', '.join(left)} still heard {event} and is no consumer of {together[0]}; let it move first"
    return None


def _follows(name: str, event: str) -> bool:
    newer, old = _EVENT.fullmatch(name), _EVENT.fullmatch(event)
    return bool(newer and old and newer["stem"] == old["stem"] and int(newer["number"]) > int(old["number"]))


def _next(event: str) -> str:
    match = _EVENT.fullmatch(event)
    return f"{match['stem']}.v{int(match['number']) + 1}" if match else f"a new version of {event}"


def _numbers(version: str) -> tuple[int, ...]:
    match = _VERSION.fullmatch(version)
    if match is None:
        raise ContractError(f"{version!r} is no version of a release; write three numbers, such as 0.1.0.")
    return tuple(map(int, match.groups()))


def _sums(folder: Path) -> str:
    """The sums of a release's files as ``sha256sum`` writes and checks them."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}" for path in files
    ]
    return "\n".join(lines) + "\n"


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
