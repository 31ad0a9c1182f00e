"""What a schema's node says of a value, by the value's type, in one form whoever wrote it: a person or msgspec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Node = Mapping[str, Any]

META: Mapping[str, str] = {
    "minLength": "min_length",
    "maxLength": "max_length",
    "pattern": "pattern",
    "format": "the format",
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
    "minItems": "min_length",
    "maxItems": "max_length",
    "minProperties": "min_length",
    "maxProperties": "max_length",
    "enum": "Literal",
}
"""Each bound that a schema and a Struct can both say, and what msgspec calls it."""

_OF: Mapping[str, frozenset[str]] = {
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
    "integer": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
    "array": frozenset({"minItems", "maxItems", "items"}),
    "object": frozenset({"minProperties", "maxProperties", "properties", "required", "additionalProperties"}),
    "boolean": frozenset(),
    "null": frozenset(),
}
_ABOUT = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"}
    | {"$schema", "$id", "$comment", "$defs", "$anchor"}
)
_COMPARED = frozenset({"type", "enum", "const", "anyOf"}.union(*_OF.values()))
_JSON = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def opaque(node: Node) -> set[str]:
    """The keywords of a node that no Struct can say, and that therefore cannot be compared with one."""
    return {*node.keys()} - _COMPARED - _ABOUT


def bounds(node: Node) -> dict[str, list[dict[str, Any]]]:
    """The bounds of a node, by the type of the value; several where alternatives have the same type.

    Integers are among the numbers where the same is said of both; an integer below 2³¹ is one of at most 2³¹ - 1.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for branch in _branches(node):
        values = branch["enum"] if "enum" in branch else [branch["const"]] if "const" in branch else None
        for kind in _types(branch, values):
            said = {name: value for name, value in branch.items() if name in _OF.get(kind, ())}
            if values is not None:
                said["enum"] = frozenset(each for each in values if _JSON.get(type(each)) == kind)
            if kind == "integer":
                _close(said)
            found.setdefault(kind, []).append(said)
    if "number" in found and found.get("integer") == found["number"]:
        del found["integer"]
    return found


def _types(branch: Node, values: Any) -> list[str]:
    if (kind := branch.get("type")) is not None:
        return [kind] if isinstance(kind, str) else list(kind)
    if values is not None:
        return sorted({_JSON.get(type(each), "object") for each in values})
    return ["object"] if "properties" in branch else []


def _branches(node: Node) -> Iterator[Node]:
    """The alternatives of a node, each with what stands beside them."""
    beside = {name: value for name, value in node.items() if name != "anyOf"}
    for branch in node.get("anyOf", [{}]):
        yield {**beside, **branch}


def _close(said: dict[str, Any]) -> None:
    """Whole numbers need no open ends."""
    for open_end, closed, step in (("exclusiveMinimum", "minimum", 1), ("exclusiveMaximum", "maximum", -1)):
        if isinstance(said.get(open_end), int) and closed not in said:
            said[closed] = said.pop(open_end) + step
