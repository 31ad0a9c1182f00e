"""Checks that registry, schemas, Structs and services agree about every event; each error names a file and a mend."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema_rs

import ecom
from dovecote.contracts.shape import reader_asks_too_much, writer_differs
from dovecote.events import Event
from ecom.contracts import CONTRACTS

EVENT_NAME = re.compile(r"^[a-z]+(?:\.[a-z-]+)+\.v(\d+)$")
DRAFT = "https://json-schema.org/draft/2020-12/schema"
REGISTRY = "event-contracts.json"
NAME_LENGTH_MAX = 64
_KEYS = frozenset({"schema_version", "producer", "consumers", "schema_file"})
_SERVICE = re.compile(r"[a-z]+-service")


@dataclass(frozen=True, slots=True)
class Problem:
    """One disagreement: where it is, what is wrong, and how to mend it."""

    file: str
    wrong: str
    mend: str

    def __str__(self) -> str:
        return f"{self.file}: {self.wrong}. Mend: {self.mend}."


@dataclass(frozen=True, slots=True)
class Code:
    """What the code says: the writers' Structs, who listens with which Struct, who writes whose event."""

    writers: Mapping[str, tuple[type[Event], ...]] = field(default_factory=dict)
    readers: Mapping[str, tuple[type[Event], ...]] = field(default_factory=dict)
    borrowed: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one check."""

    events: Mapping[str, Any]
    problems: tuple[Problem, ...]
    listeners: Mapping[str, tuple[str, ...]]


def check(folder: Path = CONTRACTS, code: Code | None = None) -> Verdict:
    """Compare everything with everything; never raises for a broken contract, says so instead."""
    code = code if code is not None else read_code()
    registry, problems = _registry(folder)
    events: dict[str, Any] = {}
    for name, entry in registry.items():
        found = list(_entry(name, entry))
        problems += found
        if not found:
            events[name] = entry
    schemas: dict[str, Mapping[str, Any]] = {}
    for name, entry in events.items():
        schema, found = _schema(folder, name, entry)
        problems += found
        if schema is not None:
            schemas[name] = schema
    problems += _stray_schemas(folder, events)
    problems += _writers(events, schemas, code, registered=set(registry))
    problems += _readers(events, schemas, code, registered=set(registry))
    problems += [
        Problem(file, f"{service} writes {name}, an event of another producer", "write an event of its own")
        for file, service, name in code.borrowed
    ]
    listeners = {
        name: tuple(sorted(service for service, heard in code.readers.items() if name in {s.EVENT for s in heard}))
        for name in events
    }
    return Verdict(events, tuple(problems), listeners)


def read_code() -> Code:
    """Ask the contract modules for their Structs and every service's live handlers for what it hears.

    Services are found by folder and imported by name: contracts must not depend on services (import contract).
    """
    written = {
        f"{module.name}-service": _structs(importlib.import_module(f"ecom.contracts.{module.name}"))
        for module in pkgutil.iter_modules([str(Path(__file__).parent)])
    }
    writers = {service: structs for service, structs in written.items() if structs}
    events = {f"{kind.__module__}.{kind.__name__}" for structs in writers.values() for kind in structs}
    readers: dict[str, tuple[type[Event], ...]] = {}
    borrowed: list[tuple[str, str, str]] = []
    for root in map(Path, ecom.__path__):
        for place in sorted(root.glob("*/service.py")):
            service = place.parent.name
            blueprint = importlib.import_module(f"ecom.{service}.service").build({}).blueprint
            readers[blueprint.name] = tuple(route.struct for route in blueprint.handlers.routes.values())
            borrowed += _borrowed(place.parent, service, events)
    return Code(writers, readers, tuple(borrowed))


def _structs(module: ModuleType) -> tuple[type[Event], ...]:
    return tuple(
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Event) and kind.__module__ == module.__name__
    )


def _borrowed(folder: Path, service: str, events: set[str]) -> Iterator[tuple[str, str, str]]:
    """Calls in a service that build an event Struct of another producer: only a writer builds its events."""
    for path in sorted(folder.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        foreign = {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ecom.contracts.")
            for alias in node.names
            if node.module != f"ecom.contracts.{service}" and f"{node.module}.{alias.name}" in events
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in foreign:
                yield f"src/ecom/{service}/{path.name}", f"{service}-service", foreign[node.func.id]


def _registry(folder: Path) -> tuple[dict[str, Any], list[Problem]]:
    path = folder / REGISTRY
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return {}, [Problem(REGISTRY, f"it cannot be read ({error})", "restore it as JSON")]
    if not isinstance(document, dict) or document.get("version") != "1" or not isinstance(document.get("events"), dict):
        wrong = 'it is not {"version": "1", "events": {…}}'
        return {}, [Problem(REGISTRY, wrong, "give it these two keys, as the wire contract says")]
    return dict(document["events"]), []


def _entry(name: str, entry: Any) -> Iterator[Problem]:
    match = EVENT_NAME.match(name)
    if match is None or len(name) > NAME_LENGTH_MAX:
        yield Problem(
            REGISTRY,
            f"the name {name!r} does not match {EVENT_NAME.pattern} within 64 characters",
            "rename it",
        )
    if not isinstance(entry, dict) or not entry.keys() >= _KEYS:
        yield Problem(REGISTRY, f"{name} lacks some of {sorted(_KEYS)}", "add the missing keys")
        return
    if match is not None and entry["schema_version"] != f"v{match.group(1)}":
        wrong = f"{name} says schema_version {entry['schema_version']!r}"
        yield Problem(REGISTRY, wrong, f"write v{match.group(1)}, the last part of the name")
    if entry["schema_file"] != f"schemas/{name}.json":
        yield Problem(REGISTRY, f"{name} names schema_file {entry['schema_file']!r}", f"write schemas/{name}.json")
    consumers = entry["consumers"] if isinstance(entry["consumers"], list) else [entry["consumers"]]
    for service in (entry["producer"], *consumers):
        if not isinstance(service, str) or not _SERVICE.fullmatch(service):
            yield Problem(REGISTRY, f"{name} names a service {service!r}", "write a name such as order-service")


def _schema(folder: Path, name: str, entry: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, list[Problem]]:
    file = entry["schema_file"]
    try:
        schema = json.loads((folder / file).read_text(encoding="utf-8"))
        jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    except OSError:
        return None, [Problem(file, f"the schema of {name} does not exist", "write it or take the event out")]
    except ValueError as error:
        wrong = f"it is not a JSON Schema of draft 2020-12 ({str(error).splitlines()[0]})"
        return None, [Problem(file, wrong, "correct the schema")]
    if not isinstance(schema, dict) or schema.get("$schema") != DRAFT or schema.get("type") != "object":
        return None, [
            Problem(
                file,
                "it is not the schema of a payload object",
                f'give it "$schema": "{DRAFT}" and "type": "object"',
            )
        ]
    if schema.get("additionalProperties", True) is not True:
        return schema, [
            Problem(file, "it forbids unknown fields", "take additionalProperties out: readers are tolerant")
        ]
    return schema, []


def _stray_schemas(folder: Path, events: Mapping[str, Any]) -> Iterator[Problem]:
    named = {entry["schema_file"] for entry in events.values()}
    for path in sorted((folder / "schemas").glob("*.json")):
        if (file := f"schemas/{path.name}") not in named:
            yield Problem(file, f"no entry of {REGISTRY} names it", "register the event or remove the file")


def _writers(
    events: Mapping[str, Any], schemas: Mapping[str, Any], code: Code, *, registered: set[str]
) -> Iterator[Problem]:
    written: set[str] = set()
    for service, structs in code.writers.items():
        file = f"src/ecom/contracts/{service.removesuffix('-service')}.py"
        for struct in structs:
            name = struct.EVENT
            if name not in registered:
                yield Problem(
                    file,
                    f"{struct.__name__} writes {name!r}, which is not registered",
                    f"add it to {REGISTRY}",
                )
            elif name in written:
                yield Problem(
                    file,
                    f"{struct.__name__} is a second Struct of {name}",
                    "keep one writer's Struct an event",
                )
            written.add(name)
            if name in events and events[name]["producer"] != service:
                wrong = f"{name} is registered for {events[name]['producer']}"
                yield Problem(file, wrong, "move the Struct to its producer's module or correct the registry")
            if name in schemas:
                for difference in writer_differs(struct, schemas[name]):
                    yield Problem(file, f"{struct.__name__}: {difference}", f"make it agree with schemas/{name}.json")
    for name in sorted(events.keys() - written):
        file = f"src/ecom/contracts/{events[name]['producer'].removesuffix('-service')}.py"
        yield Problem(file, f"{name} is registered and has no Struct", "add the Struct or take the event out")


def _readers(
    events: Mapping[str, Any], schemas: Mapping[str, Any], code: Code, *, registered: set[str]
) -> Iterator[Problem]:
    for service, structs in code.readers.items():
        file = f"src/ecom/{service.removesuffix('-service')}/handlers.py"
        heard = [schemas[struct.EVENT].get("properties", {}) for struct in structs if struct.EVENT in schemas]
        promised = {name for properties in heard for name in properties}
        for struct in structs:
            name = struct.EVENT
            if name not in registered:
                yield Problem(file, f"it handles {name!r}, which is not registered", f"add it to {REGISTRY}")
            elif name in events and service not in events[name]["consumers"]:
                yield Problem(REGISTRY, f"{service} handles {name} and is not among its consumers", "add it there")
            if name in schemas:
                for demand in reader_asks_too_much(struct, schemas[name], promised):
                    yield Problem(file, f"{struct.__name__}: {demand}", "give the field a default, or promise it")
