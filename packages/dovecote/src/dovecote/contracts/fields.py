"""The fields of a payload in plain words: path, type, whether required, bounds, meaning; read from its JSON Schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Node = Mapping[str, Any]

_TYPES: Mapping[str, str] = {
    "string": "text",
    "integer": "whole number",
    "boolean": "true or false",
    "array": "list",
}
_FORMATS: Mapping[str, str] = {"date-time": "instant (RFC 3339)", "uuid": "UUID"}
# What a pattern must accept, and refuse, to be that of a decimal number written as text.
_DECIMALS, _NO_DECIMALS = ("0", "7", "12.50"), ("", "NaN", "1e5", "x", "1 000")
# A type may hold itself without end; its words stop here.
_DEPTH_MAX = 4
_INT64 = (-(2**63), 2**63 - 1)
# Words about a schema, and keywords that the columns tell of; any other keyword is a rule that they do not tell.
_TOLD = frozenset(
    {
        *("$ref", "$defs", "$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated"),
        *("type", "format", "properties", "required", "items", "prefixItems", "enum", "const", "pattern"),
        *("minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "anyOf", "oneOf", "allOf"),
    }
)


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``path`` is as in ``items[].sku``; ``required`` is meant within the object that holds it."""

    path: str
    type: str
    required: bool
    bounds: str
    meaning: str


def fields(schema: Node) -> tuple[Field, ...]:
    """Every field of a payload, in the schema's order, each once; the fields of a recursive object are told once."""
    found: dict[str, Field] = {}
    for field in _Reader(schema).below(schema, "", ()):
        found.setdefault(field.path, field)
    return tuple(found.values())


class _Reader:
    """Walks one schema; ``$ref`` is looked up in its root."""

    def __init__(self, root: Node) -> None:
        self._root = root

    def below(self, node: Node, path: str, seen: tuple[str, ...]) -> Iterator[Field]:
        """The fields of what a node describes; ``seen`` are the references that lead to it."""
        if (ref := node.get("$ref")) is not None:
            if ref in seen:
                return
            seen = (*seen, ref)
        node = self._plain(node)
        required = self._required(node)
        for name, value in _mapping(node, "properties").items():
            if isinstance(value, Mapping):
                here = f"{path}.{name}" if path else name
                yield self._field(here, value, name in required)
                yield from self.below(value, here, seen)
        for branch in _branches(node, "allOf", "anyOf", "oneOf"):
            yield from self.below(branch, path, seen)
        for inner, place in _entries(node, path):
            yield from self.below(inner, place, seen)

    def _field(self, path: str, node: Node, required: bool) -> Field:  # noqa: FBT001  a fact, not a switch
        plain = self._plain(node)
        return Field(path, self._type(plain), required, self._bounds(plain), str(plain.get("description", "")))

    def _plain(self, node: Node) -> Node:
        """The node with what its reference says; its own words win."""
        steps: set[str] = set()
        while (ref := node.get("$ref")) is not None and ref not in steps:
            steps.add(ref)
            target = self._target(ref)
            node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
        return node

    def _target(self, ref: Any) -> Node:
        target: Any = self._root
        if isinstance(ref, str) and ref.startswith("#"):
            for part in filter(None, ref[1:].split("/")):
                key = part.replace("~1", "/").replace("~0", "~")
                target = target.get(key) if isinstance(target, Mapping) else None
            if isinstance(target, Mapping):
                return target
        return {}

    def _required(self, node: Node, depth: int = 0) -> set[str]:
        own = set(node.get("required", ()))
        if depth > _DEPTH_MAX:
            return own
        return own.union(*(self._required(self._plain(branch), depth + 1) for branch in _branches(node, "allOf")))

    def _type(self, node: Node, depth: int = 0) -> str:
        if depth > _DEPTH_MAX:
            return "anything"
        if choices := list(_branches(node, "anyOf", "oneOf")):
            return " or ".join(dict.fromkeys(self._type(self._plain(choice), depth + 1) for choice in choices))
        kinds = node.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        if not kinds and "properties" in node:
            kinds = ["object"]
        if not kinds and (values := _values(node)):
            kinds = list(dict.fromkeys(_kind(value) for value in values))
        if not kinds:
            merged = [self._type(self._plain(branch), depth + 1) for branch in _branches(node, "allOf")]
            return next((words for words in merged if words != "anything"), "anything")
        return " or ".join(dict.fromkeys(self._word(kind, node, depth) for kind in kinds))

    def _word(self, kind: str, node: Node, depth: int) -> str:
        if kind == "string":
            if _is_decimal(node.get("pattern")):
                return "decimal number, as text"
            if (name := node.get("format")) is not None:
                return _FORMATS.get(name, f"text ({name})")
        if kind == "array" and isinstance(items := node.get("items"), Mapping):
            return f"list of {self._type(self._plain(items), depth + 1)}"
        return _TYPES.get(kind, kind)

    def _bounds(self, node: Node, depth: int = 0) -> str:
        if depth > _DEPTH_MAX:
            return ""
        said = [*_bounds(node)]
        inner = node.get("items")
        if isinstance(inner, Mapping) and "properties" not in (plain := self._plain(inner)):
            said += [f"each {words}" for words in [self._bounds(plain, depth + 1)] if words]
        for branch in _branches(node, "allOf", "anyOf", "oneOf"):
            said += [words for words in [self._bounds(self._plain(branch), depth + 1)] if words]
        if node.keys() - _TOLD:
            said.append("more rules in the schema")
        return "; ".join(dict.fromkeys(said))


def _bounds(node: Node) -> Iterator[str]:
    """The bounds of one node by itself."""
    if "const" in node:
        yield f"always {_code(node['const'])}"
    elif "enum" in node:
        yield f"one of {', '.join(_code(value) for value in node['enum'])}"
    yield from _span(node.get("minLength"), node.get("maxLength"), "character", "characters")
    yield from _span(node.get("minItems"), node.get("maxItems"), "entry", "entries")
    yield from _span(node.get("minProperties"), node.get("maxProperties"), "key", "keys")
    low, high = node.get("minimum"), node.get("maximum")
    if (low, high) == _INT64:
        yield "64 bits, signed"
    elif low is not None and high is not None:
        yield f"{low} to {high}"
    elif low is not None or high is not None:
        yield f"≥ {low}" if low is not None else f"≤ {high}"
    for key, sign in (("exclusiveMinimum", ">"), ("exclusiveMaximum", "<")):
        if key in node:
            yield f"{sign} {node[key]}"
    if "multipleOf" in node:
        yield f"a multiple of {node['multipleOf']}"
    if node.get("uniqueItems") is True:
        yield "no entry twice"
    if "pattern" in node and not _is_decimal(node["pattern"]):
        yield f"matches `{node['pattern']}`"


def _span(low: int | None, high: int | None, one: str, many: str) -> Iterator[str]:
    if low is not None and high is not None:
        yield f"{low} {one if low == 1 else many}" if low == high else f"{low} to {high} {many}"
    elif low:
        yield f"at least {low} {one if low == 1 else many}"
    elif high is not None:
        yield f"at most {high} {one if high == 1 else many}"


def _mapping(node: Node, key: str) -> Node:
    value = node.get(key, {})
    return value if isinstance(value, Mapping) else {}


def _branches(node: Node, *keys: str) -> Iterator[Node]:
    for key in keys:
        for branch in node.get(key, ()):
            if isinstance(branch, Mapping):
                yield branch


def _entries(node: Node, path: str) -> Iterator[tuple[Node, str]]:
    """What a list holds, and where."""
    if isinstance(items := node.get("items"), Mapping):
        yield items, f"{path}[]"
    for number, inner in enumerate(node.get("prefixItems", ())):
        if isinstance(inner, Mapping):
            yield inner, f"{path}[{number}]"


def _values(node: Node) -> list[Any]:
    return [node["const"]] if "const" in node else list(node.get("enum", ()))


def _kind(value: Any) -> str:
    """The JSON type of a value."""
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    return kinds.get(type(value), "null")


def _code(value: Any) -> str:
    return f"`{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}`"


def _is_decimal(pattern: Any) -> bool:
    """Whether a pattern is one of decimal numbers, by what it accepts and refuses rather than by how it is written."""
    if not isinstance(pattern, str):
        return False
    try:
        matches = re.compile(pattern)
    except re.error:
        return False
    return all(map(matches.search, _DECIMALS)) and not any(map(matches.search, _NO_DECIMALS))
