"""What the registry must be by itself: names, versions, services and files that fit each other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dovecote.contracts.document import read
from dovecote.contracts.problem import Problem, pointer

EVENT_NAME = re.compile(r"^[a-z]+(?:\.[a-z-]+)+\.v(\d+)$")
NAME_LENGTH_MAX = 64
_KEYS = frozenset({"schema_version", "producer", "consumers", "schema_file"})
_SERVICE = re.compile(r"[a-z]+(-[a-z0-9]+)*-service")


@dataclass(frozen=True, slots=True)
class Registration:
    """What a registry's file holds: its whole entries, the names of all, the files they name, and what is wrong."""

    events: Mapping[str, Any]
    known: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()

    @classmethod
    def read(cls, path: Path, file: str) -> Registration:
        """Read a registry; ``file`` is its name in a finding."""
        document, unreadable = read(path, file)
        if unreadable is not None:
            return cls({}, problems=(unreadable,))
        if not isinstance(document, dict) or document.get("version") != "1" or not _is_map(document.get("events")):
            wrong = 'it is not {"version": "1", "events": {…}}'
            mend = "give it these two keys, as the wire contract says"
            return cls({}, problems=(Problem(file, "", wrong, mend),))
        entries = document["events"]
        found = {name: tuple(_entry(file, name, entry)) for name, entry in entries.items()}
        return cls(
            {name: entry for name, entry in entries.items() if not found[name]},
            frozenset(entries),
            frozenset(entry["schema_file"] for entry in entries.values() if _is_map(entry) and "schema_file" in entry),
            tuple(problem for problems in found.values() for problem in problems),
        )


def _is_map(value: Any) -> bool:
    return isinstance(value, dict)


def _entry(file: str, name: str, entry: Any) -> Iterator[Problem]:
    at = pointer("events", name)
    match = EVENT_NAME.match(name)
    if match is None or len(name) > NAME_LENGTH_MAX:
        wrong = f"the name {name!r} does not match {EVENT_NAME.pattern} within {NAME_LENGTH_MAX} characters"
        yield Problem(file, at, wrong, "rename it")
    if not isinstance(entry, dict) or not entry.keys() >= _KEYS:
        lacking = sorted(_KEYS - entry.keys()) if isinstance(entry, dict) else sorted(_KEYS)
        yield Problem(file, at, f"{name} lacks {', '.join(lacking)}", "add what is missing")
        return
    if match is not None and entry["schema_version"] != f"v{match[1]}":
        wrong = f"{name} says schema_version {entry['schema_version']!r}"
        yield Problem(file, f"{at}/schema_version", wrong, f"write v{match[1]}, the last part of the name")
    if entry["schema_file"] != f"schemas/{name}.json":
        wrong = f"{name} names schema_file {entry['schema_file']!r}"
        yield Problem(file, f"{at}/schema_file", wrong, f"write schemas/{name}.json, and call the file so")
    yield from _service(file, f"{at}/producer", name, entry["producer"])
    consumers = entry["consumers"]
    if not isinstance(consumers, list):
        yield Problem(file, f"{at}/consumers", f"{name} names its consumers in no array", "write [] for none")
        return
    for number, service in enumerate(consumers):
        place = f"{at}/consumers/{number}"
        yield from _service(file, place, name, service)
        if service in consumers[:number]:
            yield Problem(file, place, f"{name} names {service} twice", "name it once")


def _service(file: str, at: str, name: str, service: Any) -> Iterator[Problem]:
    if not isinstance(service, str) or not _SERVICE.fullmatch(service):
        yield Problem(file, at, f"{name} names a service {service!r}", "write a name such as order-service")
