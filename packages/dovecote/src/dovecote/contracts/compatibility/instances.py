"""Instances of one schema that try the edges of it and of another: where the two differ, one of them shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, TypeAlias

import jsonschema_rs

from dovecote.contracts.compatibility import samples
from dovecote.contracts.compatibility.normal import Schema
from dovecote.contracts.compatibility.objects import objects

Node: TypeAlias = Mapping[str, Any]
Alternative: TypeAlias = tuple[Node, ...]
"""Schemas of which an instance meets all, with no choice left between them."""

DEPTH_MAX = 6
VALUES_MAX = 160
ALTERNATIVES_MAX = 64
ITEMS_MAX = 300
_ANY: tuple[Any, ...] = (None, False, True, 0, 0.5, "", [], {})
_KINDS = ("null", "boolean", "integer", "number", "string", "array", "object")


class Instances:
    """A maker of instances of ``promised``, which looks at ``asked`` for edges worth trying.

    It tries one thing at a time, and pairs in objects: every instance is valid under what is promised, and none is
    made twice. It is a search and no enumeration; what it finds is true, what it does not find proves nothing.
    """

    def __init__(self, promised: Schema, asked: Schema) -> None:
        self._promised, self._asked = promised, asked
        self._definitions = {side: _definitions(schema) for side, schema in (("p", promised), ("a", asked))}
        self._known: dict[str, list[Any]] = {}

    def all(self) -> list[Any]:
        """The instances, by the length of their text."""
        return self.values((self._promised,), (self._asked,), 0)

    def values(self, promised: Sequence[Schema], asked: Sequence[Schema], depth: int) -> list[Any]:
        """Values at one place, for which ``promised`` all hold, with ``asked`` said of it by the other schema."""
        key = repr((promised, asked, depth > DEPTH_MAX))
        if key not in self._known:
            self._known[key] = []  # a schema that holds itself finds nothing in its own middle
            self._known[key] = self._values(promised, asked, depth)
        return self._known[key]

    def _values(self, promised: Sequence[Schema], asked: Sequence[Schema], depth: int) -> list[Any]:
        whole = {"allOf": list(promised) or [True], "$defs": self._definitions["p"]}
        valid = jsonschema_rs.Draft202012Validator(whole, validate_formats=True).is_valid
        hints = [node for schema in promised for node in self._said(schema, "p", 0)]
        hints += [node for schema in asked for node in self._said(schema, "a", 0)]
        found: dict[str, Any] = {}

        def keep(values: Iterable[Any]) -> None:
            for value in values:
                text = repr(value)  # tells true from 1, and is made in no time
                if text not in found and valid(value):
                    found[text] = value

        keep(
            value for node in hints for value in (*node.get("enum", ()), *([node["const"]] if "const" in node else ()))
        )
        keep(_ANY)
        for alternative in self.alternatives(promised):
            keep(self._of(alternative, hints, depth))
        ordered = [found[text] for text in sorted(found, key=len)]
        return _spread(ordered, _refused(ordered, asked, self._definitions["a"]), VALUES_MAX) if depth else ordered

    def _of(self, alternative: Alternative, hints: Sequence[Node], depth: int) -> Iterator[Any]:
        kinds = set(_KINDS)
        for node in alternative:
            if "type" in node:
                said = {node["type"]} if isinstance(node["type"], str) else set(node["type"])
                kinds &= said | ({"integer"} if "number" in said else set())
        if kinds & {"integer", "number"}:
            yield from samples.numbers([*alternative, *hints])
        if "string" in kinds:
            yield from samples.strings(alternative, hints)
        if depth > DEPTH_MAX:
            return
        if "array" in kinds:
            yield from self._arrays(alternative, hints, depth)
        if "object" in kinds:
            yield from objects(self, alternative, hints, depth)

    def _arrays(self, alternative: Alternative, hints: Sequence[Node], depth: int) -> Iterator[Any]:
        """Arrays of each length on an edge, with each value in one place, and with repeated values."""
        lengths = {0, 1, 2, 3}
        for node in (*alternative, *hints):
            for edge in (node.get(key) for key in ("minItems", "maxItems", "minContains", "maxContains")):
                lengths |= {edge - 1, edge, edge + 1} if isinstance(edge, int) else set()
            lengths |= {len(node["prefixItems"]), len(node["prefixItems"]) + 1} if "prefixItems" in node else set()
        looked_for = [node["contains"] for node in (*alternative, *hints) if "contains" in node]
        for length in sorted(length for length in lengths if 0 <= length <= ITEMS_MAX):
            columns = [self._items(alternative, hints, at, looked_for, depth) for at in range(min(length, 12))]
            if columns and length > len(columns):
                columns += [columns[-1]] * (length - len(columns))
            if not all(columns):
                continue
            yield [column[0] for column in columns]
            yield [column[min(at, len(column) - 1)] for at, column in enumerate(columns)]
            yield [column[-1 - min(at, len(column) - 1)] for at, column in enumerate(columns)]
            if length <= len(columns) <= 12:
                first = [column[0] for column in columns]
                apart = [column[min(at, len(column) - 1)] for at, column in enumerate(columns)]
                for at, column in enumerate(columns):
                    for value in column:
                        yield [*first[:at], value, *first[at + 1 :]]
                        yield [*apart[:at], value, *apart[at + 1 :]]
            for value in columns[0] if columns else ():
                yield [value] * length

    def _items(
        self, alternative: Alternative, hints: Sequence[Node], at: int, looked_for: Sequence[Schema], depth: int
    ) -> list[Any]:
        """Values for one place of an array."""
        promised = tuple(schema for node in alternative if (schema := _item(node, at)) is not None)
        asked = tuple(schema for node in hints if (schema := _item(node, at)) is not None)
        return self.values(promised, (*asked, *looked_for), depth + 1)

    def alternatives(self, promised: Sequence[Schema], nesting: int = 0) -> list[Alternative]:
        """The ways to meet all of some schemas, every choice made; at most ALTERNATIVES_MAX."""
        return _all_of([self._ways(schema, nesting) for schema in promised])

    def _ways(self, schema: Schema, nesting: int) -> list[Alternative]:
        if schema is False or nesting > 2 * DEPTH_MAX:
            return []
        if schema is True:
            return [()]
        nested = nesting + 1
        parts: list[list[Alternative]] = [[(schema,)]]
        parts += [self._ways(child, nested) for child in schema.get("allOf", ())]
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                parts.append([way for child in schema[keyword] for way in self._ways(child, nested)])
        if "if" in schema:
            then = self.alternatives((schema["if"], schema.get("then", True)), nested)
            parts.append(then + self._ways(schema.get("else", True), nested))
        for child in schema.get("dependentSchemas", {}).values():
            parts.append([(), *self._ways(child, nested)])
        if "$ref" in schema:
            parts.append(self._ways(self._definitions["p"][schema["$ref"].rpartition("/")[2]], nested))
        return _all_of(parts)

    def _said(self, schema: Schema, side: str, nesting: int) -> Iterator[Node]:
        """Every schema object that speaks of a place, whether it asks, forbids or only wonders."""
        if not isinstance(schema, dict) or nesting > 2 * DEPTH_MAX:
            return
        yield schema
        inner = [child for keyword in ("allOf", "anyOf", "oneOf") for child in schema.get(keyword, ())]
        inner += [schema[keyword] for keyword in ("not", "if", "then", "else") if keyword in schema]
        inner += schema.get("dependentSchemas", {}).values()
        if "$ref" in schema:
            inner.append(self._definitions[side].get(schema["$ref"].rpartition("/")[2], True))
        for child in inner:
            yield from self._said(child, side, nesting + 1)


def _all_of(parts: Sequence[list[Alternative]]) -> list[Alternative]:
    ways: list[Alternative] = [()]
    for part in parts:
        ways = [(*one, *other) for one, other in product(ways, part)][:ALTERNATIVES_MAX]
    return ways


def _definitions(schema: Schema) -> Mapping[str, Schema]:
    found: Mapping[str, Schema] = schema.get("$defs", {}) if isinstance(schema, dict) else {}
    return found


def _item(node: Node, at: int) -> Schema | None:
    """What a schema says of the n-th value of an array."""
    prefix = node.get("prefixItems", ())
    return prefix[at] if at < len(prefix) else node.get("items")


def _refused(values: Sequence[Any], asked: Sequence[Schema], definitions: Mapping[str, Schema]) -> list[bool]:
    """For each value, whether some schema that speaks of its place refuses it: such a value may show a difference."""
    wholes = {repr(schema): schema for schema in asked if isinstance(schema, dict)}
    tests = [
        jsonschema_rs.Draft202012Validator({"allOf": [one], "$defs": definitions}, validate_formats=True).is_valid
        for one in wholes.values()
    ]
    return [not all(test(value) for test in tests) for value in values]


def _spread(values: Sequence[Any], telling: Sequence[bool], most: int) -> list[Any]:
    """At most so many of the values, in their order: half of the room for the telling ones, the rest for others."""
    if len(values) <= most:
        return list(values)
    half = most // 2
    chosen = set(_each_nth([at for at, tells in enumerate(telling) if tells], half))
    chosen |= set(_each_nth([at for at, tells in enumerate(telling) if not tells], most - len(chosen)))
    return [value for at, value in enumerate(values) if at in chosen]


def _each_nth(places: list[int], most: int) -> list[int]:
    """At most so many of the places, over their whole length, the first ones surely."""
    if len(places) <= most:
        return places
    half = most // 2
    rest = places[half:]
    return places[:half] + [rest[at * len(rest) // (most - half)] for at in range(most - half)]
