"""Checks that registry, schemas, examples, code and configuration agree about every event, and names each mend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dovecote.contracts.agreement import Agreement
from dovecote.contracts.code import Code
from dovecote.contracts.document import read
from dovecote.contracts.examples import Golden
from dovecote.contracts.problem import Problem, nearest, pointer, shown
from dovecote.contracts.registration import Registration
from dovecote.contracts.registry import REGISTRY_FILE
from dovecote.contracts.schema import schema_problems, usable
from dovecote.contracts.topics import topic_problems


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of one check: the registry's whole entries, their usable schemas, all names in it, who handles each
    event, and what is wrong.
    """

    events: Mapping[str, Any]
    schemas: Mapping[str, Any]
    known: frozenset[str]
    listeners: Mapping[str, tuple[str, ...]]
    problems: tuple[Problem, ...]


def check(folder: Path, code: Code) -> Checked:
    """Compare everything in a contracts' folder with everything in the code; a broken contract is a problem, no error.

    - the registry: names, versions, files, services, keys; every schema file is some entry's;
    - every schema: draft 2020-12, of an object, open, whole in itself, of keywords and formats that exist;
    - what is written and handled is registered and the other way round, by the services that the registry names;
    - every Struct agrees with its schema: the writer's in all, a reader's in what it reads;
    - golden examples: each valid, each read by every Struct, a minimal and a full one for every event;
    - topics in the configuration: of registered events, the same for who says and who hears.
    """
    place = shown(folder.resolve(), code.root)
    file = f"{place}/{REGISTRY_FILE}"
    registry = Registration.read(folder / REGISTRY_FILE, file)
    problems = [*registry.problems, *_stray_schemas(folder, place, registry)]
    schemas: dict[str, Any] = {}
    for name, entry in registry.events.items():
        where = f"{place}/{entry['schema_file']}"
        schema, unreadable = read(folder / entry["schema_file"], where)
        problems += [unreadable] if unreadable is not None else schema_problems(where, schema)
        if usable(schema):
            schemas[name] = schema
    problems += _keys(file, registry.events, schemas)
    problems += Agreement(file, registry.events, schemas, registry.known, code).problems()
    problems += Golden(folder, place, schemas, registry.known, code).problems()
    problems += topic_problems(registry.events, registry.known, code)
    listeners = {name: code.listeners(name) for name in registry.events}
    return Checked(registry.events, schemas, registry.known, listeners, tuple(problems))


def _keys(file: str, events: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[Problem]:
    """Each entry that names a field as the Kafka key which not every payload has."""
    for name, schema in schemas.items():
        required = schema.get("required", ())
        if "key" in events[name] and (key := events[name]["key"]) not in required:
            wrong = f"{name} names the key {key!r}, which is no required field{nearest(str(key), required)}"
            yield Problem(file, pointer("events", name, "key"), wrong, "name a required field of its schema")


def _stray_schemas(folder: Path, place: str, registry: Registration) -> Iterator[Problem]:
    """Each file among the schemas that no entry names."""
    for path in sorted((folder / "schemas").glob("*")):
        if (file := f"schemas/{path.name}") not in registry.files:
            mend = "register its event, or remove the file"
            yield Problem(f"{place}/{file}", "", f"no entry of {REGISTRY_FILE} names it", mend)
