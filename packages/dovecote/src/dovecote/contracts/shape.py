"""Proves that a Struct and a JSON Schema say the same of a payload: names, required, types, formats, values, bounds.

What is proved here need not be looked at again at run time: a reader that has decoded a payload through its Struct has
checked whatever the contract promises of the fields it reads.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from dovecote.contracts.facets import META, bounds, opaque
from dovecote.contracts.problem import pointer
from dovecote.events import Event

Node = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One disagreement of a Struct and a schema: where in the schema, what it is, and how to mend it."""

    pointer: str
    wrong: str
    mend: str


def struct_schema(struct: type[msgspec.Struct]) -> Node:
    """What msgspec says of a Struct as JSON Schema, references resolved."""
    (root,), components = msgspec.json.schema_components([struct], ref_template="{name}")
    resolved: Node = _inlined(root, components)
    return resolved


def writer_differs(struct: type[Event], schema: Node) -> Iterator[Difference]:
    """Each way in which a writer's Struct and its contract are not the same thing.

    A writer may keep to some of a field's types. A Decimal may name its pattern (``Meta(extra_json_schema=…)``), for
    what is published is held against the schema itself.
    """
    yield from _Comparison(schema, is_reader=False).nodes("", struct_schema(struct), schema)


def reader_asks_too_much(struct: type[Event], schema: Node, elsewhere: Collection[str] = ()) -> Iterator[Difference]:
    """Each way in which a reader's Struct differs from the contract in what it reads.

    It may read fewer fields and insist on fewer; of those it reads, types and bounds are the contract's own. One Struct
    may serve several events: an optional field that another of them promises (``elsewhere``) is fine.
    """
    yield from _Comparison(schema, is_reader=True, elsewhere=elsewhere).nodes("", struct_schema(struct), schema)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Walks a Struct's schema (ours) beside a contract (theirs); ``where`` is the pointer into the contract."""

    root: Node
    is_reader: bool
    elsewhere: Collection[str] = ()

    def nodes(self, where: str, ours: Node, theirs: Node) -> Iterator[Difference]:
        """Everything that two nodes disagree about."""
        theirs = self._resolved(theirs)
        for keyword in sorted(opaque(theirs)):
            mend = "say it with types, formats, enums and bounds"
            yield Difference(where + pointer(keyword), f"no Struct can say {keyword}", mend)
        here, there = bounds(ours), bounds(theirs)
        if "null" not in there and "default" in ours and ours["default"] is None:
            here.pop("null", None)  # a null that only stands for 'left out'
        yield from self._types(where, set(here), set(there))
        for kind in sorted(here.keys() & there.keys()):
            if len(here[kind]) > 1 or len(there[kind]) > 1:
                if any(each not in there[kind] for each in here[kind]) or len(here[kind]) != len(there[kind]):
                    wrong = f"its alternatives of type {kind} are not the Struct's"
                    yield Difference(where, wrong, f"keep one alternative of type {kind}")
                continue
            (our,), (their,) = here[kind], there[kind]
            yield from self._bounds(where, our, their)
            if kind == "object":
                yield from self._objects(where, our, their)
            elif kind == "array":
                yield from self.nodes(f"{where}/items", our.get("items") or {}, their.get("items") or {})

    def _types(self, where: str, ours: set[str], theirs: set[str]) -> Iterator[Difference]:
        told, allowed = ", ".join(sorted(ours)) or "anything", ", ".join(sorted(theirs)) or "anything"
        if ours - theirs or (not ours and theirs):
            wrong = f"it may be {told} in the Struct, the schema allows {allowed}"
            yield Difference(where, wrong, f"let the Struct allow {allowed}")
        elif self.is_reader and theirs - ours:
            wrong = f"it may be {allowed} in the schema, the Struct reads {told}"
            yield Difference(where, wrong, f"let the Struct read {allowed}")

    def _bounds(self, where: str, ours: Node, theirs: Node) -> Iterator[Difference]:
        if self.is_reader and ours.get("format") == "decimal":
            wrong = "it is read as a Decimal, which takes NaN, 1E+2, -5 and numbers, and can have no bounds"
            yield Difference(where, wrong, "read text with the pattern, and make the Decimal where it is used")
            return
        if (pattern := ours.get("pattern")) is not None and (why := _is_loose(pattern)):
            yield Difference(where, f"the Struct's pattern {pattern} {why[0]}", why[1])
            return
        for name in META:
            our, their = _said(ours, name), _said(theirs, name)
            if our == their:
                continue
            at = where + pointer(name) if name in theirs else where
            if their is None:
                wrong = f"{name} is {_shown(our)} in the Struct, and the schema has none"
                yield Difference(at, wrong, f"take {META[name]} out of the Struct, or promise {name}")
            else:
                said = "none" if our is None else _shown(our)
                wrong = f"{name} is {_shown(their)} in the schema and {said} in the Struct"
                yield Difference(at, wrong, _mend(name, their))

    def _objects(self, where: str, ours: Node, theirs: Node) -> Iterator[Difference]:
        if ours.get("additionalProperties") is False:
            yield Difference(where, "the Struct refuses unknown fields", "take forbid_unknown_fields out")
        elif ours.get("additionalProperties") or theirs.get("additionalProperties"):
            our_values, their_values = _values(ours), _values(theirs)
            yield from self.nodes(f"{where}/additionalProperties", our_values, their_values)
        our, their = ours.get("properties", {}), theirs.get("properties", {})
        our_required, their_required = set(ours.get("required", ())), set(theirs.get("required", ()))
        for name in sorted(our.keys() | their.keys()):
            at = f"{where}/properties" + pointer(name)
            if name not in their:
                if not (self.is_reader and not where and name in self.elsewhere and name not in our_required):
                    does = "read and not in the contract" if self.is_reader else "in the Struct only"
                    yield Difference(at, f"{name} is {does}", "take it out of the Struct, or promise it")
            elif name not in our:
                if not self.is_reader:
                    yield Difference(at, f"{name} is in the schema only", "add it to the Struct, or take it out")
            else:
                if name in our_required - their_required:
                    wrong = f"{name} is required by the Struct and optional in the schema"
                    yield Difference(at, wrong, "give it a default in the Struct, or require it")
                elif name in their_required - our_required and not self.is_reader:
                    wrong = f"{name} is required by the schema and optional in the Struct"
                    yield Difference(at, wrong, "take its default out of the Struct")
                yield from self.nodes(at, our[name], their[name])

    def _resolved(self, node: Node) -> Node:
        """The node that a local reference means; one that leads nowhere stays as it is, and is opaque."""
        for _ in range(20):  # a reference to itself must end
            if not str(node.get("$ref", "")).startswith("#/"):
                return node
            found: Any = self.root
            for part in node["$ref"][2:].split("/"):
                found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
            if not isinstance(found, Mapping):
                return node
            node = {**found, **{name: value for name, value in node.items() if name != "$ref"}}
        return node


def _values(node: Node) -> Node:
    """What a mapping's values are."""
    values = node.get("additionalProperties")
    return values if isinstance(values, Mapping) else {}


def _said(bounds: Node, name: str) -> Any:
    """A bound in the schema's own words."""
    value = bounds.get(name)
    if name == "pattern" and isinstance(value, str) and value.endswith(r"\Z"):
        return value[:-2] + "$"
    return None if name == "format" and value == "decimal" else value


def _is_loose(pattern: str) -> tuple[str, str] | None:
    r"""Why Python reads a Struct's pattern otherwise than a schema would: it lets more pass. And the mend."""
    bare = re.sub(r"\\\\", "", pattern)
    if re.search(r"(?<!\\)\$", re.sub(r"\[[^\]]*\]", "", bare)):
        return "ends at $, after which Python lets a line feed pass", r"write \Z for the schema's $"
    if re.search(r"\\[dwsDWSbB]", bare):
        return "has a class that means all of Unicode in Python", "write the characters out, e.g. [0-9]"
    return None


def _mend(name: str, value: Any) -> str:
    if name == "enum":
        return f"let the Struct say Literal of {_shown(value)}"
    if name == "format":
        return f"give the Struct the type of {value}, e.g. datetime of date-time"
    shown = 'r"' + re.sub(r"(?<!\\)\$$", r"\\Z", value) + '"' if name == "pattern" else value
    return f"annotate it with Meta({META[name]}={shown})"


def _shown(value: Any) -> str:
    return ", ".join(sorted(map(str, value))) if isinstance(value, frozenset) else str(value)


def _inlined(node: Any, components: Mapping[str, Any]) -> Any:
    if isinstance(node, Mapping):
        if "$ref" in node:
            return _inlined(components[node["$ref"]], components)
        return {name: _inlined(value, components) for name, value in node.items()}
    if isinstance(node, list | tuple):
        return [_inlined(value, components) for value in node]
    return node
