"""Compares what a Struct says of a payload with what its JSON Schema says: names, required, kinds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec

from dovecote.events import Event

Node = Mapping[str, Any]


def struct_schema(struct: type[msgspec.Struct]) -> Node:
    """What msgspec says of a Struct as JSON Schema, references resolved."""
    (root,), components = msgspec.json.schema_components([struct], ref_template="{name}")
    resolved: Node = _resolve(root, components)
    return resolved


def writer_differs(struct: type[Event], schema: Node) -> Iterator[str]:
    """Each way in which a writer's Struct and its contract are not the same thing."""
    yield from _differs("payload", struct_schema(struct), schema)


def reader_asks_too_much(struct: type[Event], schema: Node, elsewhere: Collection[str] = ()) -> Iterator[str]:
    """Each field that a reader's Struct insists on, or looks for, and the contract does not promise.

    One Struct may serve several events: an optional field that another of them promises (``elsewhere``) is fine.
    """
    yield from _unpromised("payload", struct_schema(struct), schema, elsewhere)


def _resolve(node: Any, components: Mapping[str, Any]) -> Any:
    if isinstance(node, Mapping):
        if "$ref" in node:
            return _resolve(components[node["$ref"]], components)
        return {name: _resolve(value, components) for name, value in node.items()}
    if isinstance(node, list | tuple):
        return [_resolve(value, components) for value in node]
    return node


def _differs(where: str, ours: Node, theirs: Node) -> Iterator[str]:
    """Walk both schemas; ours is the Struct, theirs the contract."""
    if "properties" in ours or "properties" in theirs:
        yield from _object_differs(where, ours, theirs)
        return
    if missing := _types(ours) - _types(theirs):
        yield f"{where} may be {sorted(missing)} in the Struct, the schema allows {sorted(_types(theirs))}"
    if _format(ours) != _format(theirs):
        yield f"{where} has format {_format(ours)} in the Struct and {_format(theirs)} in the schema"
    allowed, written = _values(theirs), _values(ours)
    if allowed and not (written and written <= allowed):
        yield f"{where} must be one of {sorted(allowed)}; let the Struct say Literal of these"
    if "array" in _types(ours):
        yield from _differs(f"{where}[]", ours.get("items", {}), theirs.get("items", {}))


def _object_differs(where: str, ours: Node, theirs: Node) -> Iterator[str]:
    our_fields, their_fields = ours.get("properties", {}), theirs.get("properties", {})
    our_required, their_required = set(ours.get("required", ())), set(theirs.get("required", ()))
    for name in sorted(our_fields.keys() - their_fields.keys()):
        yield f"{where}.{name} is in the Struct only"
    for name in sorted(their_fields.keys() - our_fields.keys()):
        yield f"{where}.{name} is in the schema only"
    for name in sorted(our_fields.keys() & their_fields.keys()):
        if (name in our_required) != (name in their_required):
            side = "schema" if name in their_required else "Struct"
            yield f"{where}.{name} is required in the {side} only"
        yield from _differs(f"{where}.{name}", our_fields[name], their_fields[name])


def _unpromised(where: str, reader: Node, contract: Node, elsewhere: Collection[str] = ()) -> Iterator[str]:
    fields, promised = reader.get("properties", {}), contract.get("properties", {})
    for name in sorted(fields):
        if name not in promised:
            if name in reader.get("required", ()) or name not in elsewhere:
                yield f"{where}.{name} is read and not in the contract"
            continue
        if name in reader.get("required", ()) and name not in contract.get("required", ()):
            yield f"{where}.{name} is required by the reader and optional in the contract"
        field, promise = fields[name], promised[name]
        if "array" in _types(field):
            yield from _unpromised(f"{where}.{name}[]", field.get("items", {}), promise.get("items", {}))
        elif "properties" in field:
            yield from _unpromised(f"{where}.{name}", field, promise)


def _branches(node: Node) -> list[Node]:
    return list(node.get("anyOf", [node]))


def _types(node: Node) -> set[str]:
    """JSON types a node allows; a null that only stands for 'left out' does not count."""
    found: set[str] = set()
    for branch in _branches(node):
        if (kind := branch.get("type")) is not None:
            found |= {kind} if isinstance(kind, str) else set(kind)
        elif _values(branch):
            found.add("string")
    if "default" in node and node["default"] is None:
        found.discard("null")
    return found


def _format(node: Node) -> str | None:
    """The format of a node; a decimal is a plain string on the wire, a pattern is its contract."""
    formats = {branch["format"] for branch in _branches(node) if branch.get("format", "decimal") != "decimal"}
    return min(formats, default=None)


def _values(node: Node) -> set[str]:
    return set(node["enum"]) if "enum" in node else {node["const"]} if "const" in node else set()
