"""Golden examples of events: payloads in files, which every version of writer and readers must go on understanding."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec

from dovecote.contracts.code import Code
from dovecote.contracts.problem import Problem, pointer
from dovecote.contracts.refusal import place_of
from dovecote.events import Event

EXAMPLES = "examples"
MINIMAL, FULL = "minimal", "full"


def golden(folder: Path) -> Mapping[str, Mapping[str, bytes]]:
    """The payloads below ``examples/<event type>/<name>.json`` of a contracts' folder: event type → name → bytes."""
    found: dict[str, dict[str, bytes]] = {}
    for path in sorted((folder / EXAMPLES).glob("*/*.json")):
        found.setdefault(path.parent.name, {})[path.stem] = path.read_bytes()
    return found


@dataclass(frozen=True, slots=True)
class Golden:
    """The examples of a folder, held against sound schemas and against every Struct that reads or writes them.

    Every event has one that holds the required fields and no other, and one that holds every field there is. They are
    called ``minimal`` and ``full``; a later one, say after a new optional field, ``full-2``: an example stays for ever.
    """

    folder: Path
    shown_folder: str
    schemas: Mapping[str, Any]
    known: frozenset[str]
    code: Code

    def problems(self) -> Iterator[Problem]:
        """Each example that is missing, is nobody's, or is not understood."""
        found = golden(self.folder)
        for name in sorted(found.keys() - self.known):
            wrong = f"{name} is not registered, so nobody checks its examples"
            yield Problem(f"{self.shown_folder}/{EXAMPLES}/{name}", "", wrong, "register it, or remove the folder")
        for name, schema in self.schemas.items():
            payloads: dict[str, Any] = {}
            validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
            for example, content in found.get(name, {}).items():
                file = f"{self.shown_folder}/{EXAMPLES}/{name}/{example}.json"
                try:
                    payloads[example] = json.loads(content)
                except (ValueError, RecursionError) as error:
                    yield Problem(file, "", f"it is not JSON ({error})", "restore it as a payload")
                    continue
                yield from _invalid(file, payloads[example], validator)
                yield from self._unreadable(file, name, content)
            yield from self._missing(name, schema, payloads)

    def _unreadable(self, file: str, name: str, content: bytes) -> Iterator[Problem]:
        """Each Struct of the code that does not understand an example."""
        for does, structs_of in (("writes", self.code.writers), ("reads", self.code.readers)):
            for service, structs in structs_of.items():
                for struct in structs:
                    if name == struct.EVENT and (why := refusal(content, struct)):
                        by = f"{struct.__name__}, through which {service} {does} it ({self.code.place(struct)})"
                        yield Problem(file, why[0], f"{by}, refuses it: {why[1]}", "let the Struct accept it")

    def _missing(self, name: str, schema: Any, payloads: Mapping[str, Any]) -> Iterator[Problem]:
        for kind, lacks in ((MINIMAL, _not_minimal), (FULL, _not_full)):
            called = {example: body for example, body in payloads.items() if example.split("-")[0] == kind}
            wrong = [(example, *found) for example, body in called.items() if (found := lacks(body, schema))]
            if not called:
                file = f"{self.shown_folder}/{EXAMPLES}/{name}/{kind}.json"
                yield Problem(file, "", f"{name} has no {kind} example", f"write its payload with {_MEANS[kind]}")
            elif len(wrong) == len(called):
                example, at, why = wrong[-1]
                file = f"{self.shown_folder}/{EXAMPLES}/{name}/{example}.json"
                mend = f"correct it; where a release holds it, add {kind}-{len(called) + 1}.json with {_MEANS[kind]}"
                yield Problem(file, at, why, mend)


_MEANS = {MINIMAL: "the required fields and no other", FULL: "every field of the schema"}


def refusal(content: bytes, struct: type[Event]) -> tuple[str, str] | None:
    """Where and why a Struct does not read a payload, as JSON pointer and sentence; None where it does."""
    try:
        msgspec.json.decode(content, type=struct)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return place_of(error)
    return None


def _invalid(file: str, payload: Any, validator: jsonschema_rs.Draft202012Validator) -> Iterator[Problem]:
    for error in validator.iter_errors(payload):
        mend = "correct it before it is released; a released one asks for the schema to accept it again"
        yield Problem(file, pointer(*error.instance_path), f"its schema refuses it: {error.message}", mend)


def _not_minimal(body: Any, schema: Any) -> tuple[str, str] | None:
    """The first optional field that a payload holds."""
    for at, fields, node in _objects(body, schema, ""):
        for name in sorted(fields.keys() & node["properties"].keys() - set(node.get("required", ()))):
            return at + pointer(name), f"it is to be minimal and holds {name}, which is optional"
    return None


def _not_full(body: Any, schema: Any) -> tuple[str, str] | None:
    """The first field of the schema that a payload lacks, in any of its objects."""
    for at, fields, node in _objects(body, schema, ""):
        for name in sorted(node["properties"].keys() - fields.keys()):
            return at, f"it is to be full and lacks {name}"
    return None


def _objects(body: Any, node: Any, at: str) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Each object of a payload whose fields the schema names at that place, by properties and items."""
    if not isinstance(node, dict):
        return
    if isinstance(body, list):
        for number, entry in enumerate(body):
            yield from _objects(entry, node.get("items"), at + pointer(number))
    elif isinstance(body, dict) and isinstance(properties := node.get("properties"), dict):
        yield at, body, node
        for name, value in body.items():
            yield from _objects(value, properties.get(name), at + pointer(name))
