"""Many instances around two schemas: every value worth trying in every place, and mixtures by a seeded dice.

Written apart from the checker's own generator, so that what the one overlooks the other may find.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import Any, Literal

from tests.contracts.compatibility.oracle import IN_PLACE, Oracle, resolved

Fields = Literal["few", "all", "dice"]
MIXTURES = 100
DEPTH_MAX = 4
OF_FORMATS = (
    *("2026-01-31", "2026-01-31T12:00:00Z", "01234567-89ab-7def-8123-456789abcdef", "a@b.example", "é@b.example"),
    *("10.0.0.1", "::1", "https://b.example/a", "/a"),
)


class Universe:
    """The instances that the words and numbers of two schemas suggest."""

    def __init__(self, old: Any, new: Any, seed: int = 0) -> None:
        self._sides = (old, new)
        self._dice = random.Random(seed)
        self.values = list(_suggested(json.dumps([_asserted(old), _asserted(new)]), old, new))
        self.names = sorted({*_names(old), *_names(new)}) or ["a"]

    def instances(self) -> list[Any]:
        """All of them, each once."""
        found: dict[str, Any] = {}
        for side in self._sides:
            for every in ("few", "all"):
                for start in (self._made(side, side, every, 0),):
                    found.setdefault(json.dumps(start), start)
                    for one in self._varied(start):
                        found.setdefault(json.dumps(one), one)
            for _ in range(MIXTURES):
                one = self._made(side, side, "dice", 0)
                found.setdefault(json.dumps(one), one)
        return list(found.values())

    def _varied(self, value: Any) -> Iterator[Any]:
        """The instance with one place of it changed to every value, taken away, or doubled."""
        yield from self.values
        if isinstance(value, dict):
            for name in value:
                yield {other: inner for other, inner in value.items() if other != name}
                for less in self._varied(value[name]):
                    yield {**value, name: less}
            for name in self.names:
                if name not in value:
                    yield from ({**value, name: one} for one in ("x", 1, True))
        elif isinstance(value, list):
            yield []
            yield value + value[:1]
            for at in range(min(len(value), 3)):
                for less in self._varied(value[at]):
                    yield [*value[:at], less, *value[at + 1 :]]

    def _made(self, schema: Any, root: Any, every: Fields, depth: int) -> Any:
        """An instance along a schema: with all its fields, the required ones, or as the dice fall."""
        dice = self._dice
        if not isinstance(schema, dict) or depth > DEPTH_MAX:
            return dice.choice(self.values)
        node = self._flat(schema, root)
        if "const" in node:
            return node["const"]
        if "enum" in node:
            return dice.choice(node["enum"])
        kinds = node.get("type", "object" if "properties" in node or "required" in node else None)
        kind = dice.choice(kinds) if isinstance(kinds, list) else kinds
        if kind == "object":
            return self._object(node, root, every, depth)
        if kind == "array":
            sizes = [0, 1, 2, node.get("minItems", 0), min(node.get("maxItems", 3), 12)]
            size = max(sizes[:4]) if every == "all" else dice.choice(sizes)
            items = [*node.get("prefixItems", ()), *[node.get("items", True)] * size][:size]
            return [self._made(item, root, every, depth + 1) for item in items]
        leaf = Oracle({key: value for key, value in node.items() if key not in {"$ref", *IN_PLACE}})
        good = [value for value in self.values if leaf.quickly_reads(value)]
        return dice.choice(good or self.values)

    def _object(self, node: dict[str, Any], root: Any, every: Fields, depth: int) -> dict[str, Any]:
        declared = node.get("properties", {})
        names = dict.fromkeys((*declared, *node.get("required", ())))
        others = node.get("additionalProperties")
        if others not in (None, False) or not declared:
            names.update(dict.fromkeys(self._dice.sample(self.names, min(2, len(self.names)))))
        made = {}
        for name in names:
            chance = 1.0 if name in node.get("required", ()) else {"few": 0.0, "all": 1.0, "dice": 0.5}[every]
            if self._dice.random() < chance:
                schema = declared.get(name, others if others is not None else True)
                made[name] = self._made(schema, root, every, depth + 1)
        return made

    def _flat(self, schema: dict[str, Any], root: Any) -> dict[str, Any]:
        """The schema with what stands in its place merged in, one branch of each choice."""
        parts = [resolved(schema["$ref"], root)] if "$ref" in schema else []
        parts += schema.get("allOf", ())
        parts += [self._dice.choice(schema[keyword]) for keyword in ("anyOf", "oneOf") if keyword in schema]
        made = {key: value for key, value in schema.items() if key != "$ref"}
        for part in parts:
            if isinstance(part, dict):
                flat = self._flat(part, root)
                both = {**flat.get("properties", {}), **made.get("properties", {})}
                needed = [*made.get("required", ()), *flat.get("required", ())]
                made = {
                    **flat,
                    **made,
                    **({"properties": both} if both else {}),
                    **({"required": needed} if needed else {}),
                }
        return made


def _suggested(text: str, *schemas: Any) -> Iterator[Any]:
    """Values on the edges of every number in two schemas, every string in them, and some of each kind."""
    yield from (
        None,
        True,
        False,
        0,
        1,
        -1,
        0.5,
        -0.5,
        "",
        "a",
        "A",
        "x",
        "1",
        "abc",
        [],
        [1],
        ["a", "a"],
        {},
        {"a": 1},
    )
    numbers = {float(number) for number in re.findall(r'(?<!["\w])-?\d+(?:\.\d+)?', text)}
    for number in sorted(numbers):
        for one in (number - 1, number - 0.5, number, number + 0.5, number + 1, number * 2, number * 3):
            yield int(one) if one.is_integer() else one
        if 0 <= number <= 400:
            yield from ("a" * int(number + more) for more in (-1, 0, 1))
            yield from ("1" * int(number + more) for more in (-1, 0, 1))
    for word in sorted(set(re.findall(r'"([^"\\]*)"', text))):
        yield from (word, word[:-1], f"{word}x")
    yield from OF_FORMATS
    for pattern in {value for schema in schemas for value in _patterns(schema)}:
        letters = sorted({*re.findall(r"[A-Za-z0-9_. -]", pattern), "a", "A", "0"})[:14]
        for one in letters:
            yield from (one, one * 2, one * 3, f"{one}.00", f"{one}.000")
            yield from (one + other for other in letters)


def _asserted(node: Any, named: bool = False) -> Any:  # noqa: FBT001, FBT002 - whether the keys are names
    """A schema without what it says to people, whose words suggest nothing."""
    if isinstance(node, list):
        return [_asserted(child) for child in node]
    if not isinstance(node, dict):
        return node
    said = {"title", "description", "examples", "$id", "$schema", "default"}
    return {
        key: _asserted(child, key in {"properties", "$defs"} and not named)
        for key, child in node.items()
        if named or key not in said
    }


def _patterns(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            yield node["pattern"]
        for child in node.values():
            yield from _patterns(child)
    elif isinstance(node, list):
        for child in node:
            yield from _patterns(child)


def _names(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for keyword in ("properties", "dependentRequired", "dependentSchemas"):
            if isinstance(node.get(keyword), dict):
                yield from node[keyword]
        yield from (name for name in node.get("required", ()) if isinstance(node.get("required"), list))
        for child in node.values():
            yield from _names(child)
    elif isinstance(node, list):
        for child in node:
            yield from _names(child)
