"""A schema as the comparison sees it: references put in place, annotations gone, numbers and lists in one spelling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import jsonschema_rs

from dovecote.errors import ContractError

Path: TypeAlias = tuple[str | int, ...]
Schema: TypeAlias = Any
"""A JSON Schema: an object or a boolean."""

# Keywords whose value is one schema, a list of schemas, or schemas by name. "In place" ones speak of the same value.
ONE = ("items", "additionalProperties", "contains", "propertyNames", "unevaluatedProperties", "unevaluatedItems")
ONE_IN_PLACE = ("not", "if", "then", "else")
LIST = ("prefixItems",)
LIST_IN_PLACE = ("allOf", "anyOf", "oneOf")
NAMED = ("properties", "patternProperties")
NAMED_IN_PLACE = ("dependentSchemas",)
IN_PLACE = (*ONE_IN_PLACE, *LIST_IN_PLACE, *NAMED_IN_PLACE)
PLAIN = (
    *("type", "enum", "const", "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *("minLength", "maxLength", "pattern", "format", "minItems", "maxItems", "uniqueItems", "minContains"),
    *("maxContains", "minProperties", "maxProperties", "required", "dependentRequired"),
)
# The formats that the validator asserts; any other is an annotation and promises nothing.
FORMATS = frozenset(
    (
        *("date", "date-time", "time", "duration", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6"),
        *("uri", "uri-reference", "iri", "iri-reference", "uri-template", "uuid", "regex"),
        *("json-pointer", "relative-json-pointer"),
    )
)


@dataclass(frozen=True, slots=True)
class Normal:
    """A normal schema, and for each place in it the JSON pointer of the place it was written at."""

    tree: Schema
    sources: Mapping[Path, str] = field(default_factory=dict)

    def pointer(self, path: Path) -> str:
        """The JSON pointer into the schema as written: of the place itself, or below the nearest one known."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.sources:
                return self.sources[path[:length]] + "".join(f"/{escape(step)}" for step in path[length:])
        return "".join(f"/{escape(step)}" for step in path)


def normal(schema: Schema) -> Normal:
    """The normal form of a draft 2020-12 schema.

    Raises ContractError where it is not a valid schema, or refers to something outside its own file.
    """
    try:
        jsonschema_rs.meta.validate(schema)
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise ContractError(f"it is not a JSON Schema of draft 2020-12: {str(error).splitlines()[0]}") from error
    inliner = _Inliner(schema)
    tree = inliner.place(schema, "", ())
    if isinstance(tree, dict) and inliner.kept:
        tree["$defs"] = {}
        while waiting := [pointer for pointer in inliner.kept if _name(pointer) not in tree["$defs"]]:
            for pointer in waiting:
                tree["$defs"][_name(pointer)] = inliner.definition(pointer)
    return Normal(tree, inliner.sources)


def escape(step: str | int) -> str:
    """One step of a JSON pointer."""
    return str(step).replace("~", "~0").replace("/", "~1")


def children(node: Mapping[str, Any]) -> Iterator[tuple[Path, Schema]]:
    """Each schema directly inside a node, with the path to it."""
    for keyword in (*ONE, *ONE_IN_PLACE):
        if keyword in node:
            yield (keyword,), node[keyword]
    for keyword in (*LIST, *LIST_IN_PLACE):
        for at, child in enumerate(node.get(keyword, ())):
            yield (keyword, at), child
    for keyword in (*NAMED, *NAMED_IN_PLACE, "$defs"):
        for name, child in node.get(keyword, {}).items():
            yield (keyword, name), child


class _Inliner:
    """Puts what is referred to in the place of its reference; a reference into itself is kept, with its definition."""

    def __init__(self, root: Schema) -> None:
        self.root = root
        self.sources: dict[Path, str] = {}
        self.kept: dict[str, None] = {}
        self._recursive: dict[str, bool] = {}

    def place(self, node: Schema, source: str, path: Path) -> Schema:
        self.sources[path] = source
        if not isinstance(node, dict):
            return node
        made: dict[str, Any] = {key: _plain(key, node[key]) for key in PLAIN if key in node}
        made = {key: value for key, value in made.items() if key != "format" or value in FORMATS}
        for step, child in children({key: value for key, value in node.items() if key != "$defs"}):
            put = self.place(child, source + "".join(f"/{escape(part)}" for part in step), (*path, *step))
            keyword, rest = step[0], step[1:]
            if not rest:
                made[str(keyword)] = put
            elif isinstance(rest[0], int):
                made.setdefault(str(keyword), []).append(put)
            else:
                made.setdefault(str(keyword), {})[rest[0]] = put
        for keyword in ("$ref", "$dynamicRef"):
            if keyword in node:
                made = self._refer(made, self._target(node[keyword]), path)
        return made

    def definition(self, pointer: str) -> Schema:
        """The definition behind a kept reference; what it refers to recursively is kept too."""
        return self.place(self._at(pointer), pointer, ("$defs", _name(pointer)))

    def _refer(self, made: dict[str, Any], target: str, path: Path) -> dict[str, Any]:
        if self._is_recursive(target):
            self._refuse_circle(target, ())
            self.kept.setdefault(target)
            put: Schema = {"$ref": f"#/$defs/{escape(_name(target))}"}
        else:
            inner = path if not made else (*path, "allOf", len(made.get("allOf", ())))
            put = self.place(self._at(target), target, inner)
        if not made and isinstance(put, dict):
            return put
        made["allOf"] = [*made.get("allOf", ()), put]
        return made

    def _refuse_circle(self, target: str, through: tuple[str, ...]) -> None:
        """Raise ContractError where a reference leads back to itself without any step into the value."""
        if target in through:
            raise ContractError(f"its $ref #{target} leads in a circle and says nothing")
        waiting = [self._at(target)]
        while waiting:
            node = waiting.pop()
            if isinstance(node, dict):
                waiting += [child for step, child in children(node) if step[0] in IN_PLACE]
                if "$ref" in node:
                    self._refuse_circle(self._target(node["$ref"]), (*through, target))

    def _target(self, reference: str) -> str:
        """The JSON pointer that a reference names within this file."""
        base, _, fragment = reference.partition("#")
        if base and base != (self.root.get("$id") or "").rstrip("#"):
            raise ContractError(f"its $ref {reference!r} leaves the file: a contract is one file, put it in $defs")
        if fragment and not fragment.startswith("/"):
            for pointer, node in _walk(self.root, ""):
                if fragment in (node.get("$anchor"), node.get("$dynamicAnchor")):
                    return pointer
            raise ContractError(f"its $ref {reference!r} names no $anchor of the file")
        self._at(fragment)
        return fragment

    def _at(self, pointer: str) -> Schema:
        node = self.root
        for step in pointer.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            try:
                node = node[int(name)] if isinstance(node, list) else node[name]
            except (KeyError, IndexError, ValueError, TypeError):
                raise ContractError(f"its $ref #{pointer} names nothing in the file") from None
        return node

    def _is_recursive(self, target: str) -> bool:
        """Whether what a reference names reaches itself again."""
        if target not in self._recursive:
            seen: set[str] = set()
            waiting = [target]
            while waiting:
                for _, node in _walk(self._at(waiting.pop()), ""):
                    for keyword in ("$ref", "$dynamicRef"):
                        if keyword in node and (found := self._target(node[keyword])) not in seen:
                            seen.add(found)
                            waiting.append(found)
            # A target inside another recursive one, or around it, is reached by its own name or holds it.
            self._recursive[target] = any(one == target or target.startswith(f"{one}/") for one in seen)
        return self._recursive[target]


def _walk(node: Schema, pointer: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every schema object in a schema, with its JSON pointer."""
    if isinstance(node, dict):
        yield pointer, node
        for step, child in children(node):
            yield from _walk(child, pointer + "".join(f"/{escape(part)}" for part in step))


def _name(pointer: str) -> str:
    return pointer.removeprefix("/$defs/").replace("/", ".") or "whole"


def _plain(keyword: str, value: Any) -> Any:
    """One spelling: whole numbers without a point, type lists and required sorted, one type without a list."""
    value = _whole(value)
    if keyword == "required":
        return sorted(set(value))
    if keyword == "type" and isinstance(value, list):
        kinds = sorted(set(value) - ({"integer"} if "number" in value else set()))
        return kinds[0] if len(kinds) == 1 else kinds
    return value


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return {name: _whole(item) for name, item in value.items()} if isinstance(value, dict) else value
