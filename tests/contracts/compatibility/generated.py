"""Edits by a seeded dice: one small change somewhere in a real schema, of which nobody has said what it does."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

Node = dict[str, Any]


def edited(schema: Node, seed: int) -> tuple[Node, str]:
    """A copy of the schema with one edit, and what was done; the same seed does the same."""
    dice = random.Random(seed)
    made = copy.deepcopy(schema)
    for _ in range(100):
        edit = dice.choice(EDITS)
        node, name = dice.choice(list(_fields(made)))
        if edit(node, name, dice) and made != schema:
            return made, f"{edit.__name__.strip('_')} of {name}"
        made = copy.deepcopy(schema)
    raise AssertionError("no edit fits this schema")


def _fields(node: Node) -> Iterator[tuple[Node, str]]:
    """Every field of a schema: the object that declares it, and its name."""
    for name, child in node.get("properties", {}).items():
        yield node, name
        yield from _fields(child)
        if isinstance(child.get("items"), dict):
            yield from _fields(child["items"])


def _removal(node: Node, name: str, _: random.Random) -> bool:
    del node["properties"][name]
    node["required"] = [other for other in node.get("required", ()) if other != name]
    return True


def _addition(node: Node, _: str, dice: random.Random) -> bool:
    node["properties"]["extra"] = dice.choice([{"type": "string"}, {"type": "integer"}, {"type": ["string", "null"]}])
    if dice.random() < 0.4:
        node["required"] = [*node.get("required", ()), "extra"]
    return True


def _obligation(node: Node, name: str, _: random.Random) -> bool:
    needed = node.get("required", [])
    node["required"] = [one for one in needed if one != name] if name in needed else [*needed, name]
    return True


def _type(node: Node, name: str, dice: random.Random) -> bool:
    node["properties"][name]["type"] = dice.choice(["string", "integer", "number", ["string", "null"], "boolean"])
    return "items" not in node["properties"][name] and not {"const", "enum"} & node["properties"][name].keys()


def _bound(node: Node, name: str, dice: random.Random) -> bool:
    field = node["properties"][name]
    bounds = [key for key in field if key in {"minLength", "maxLength", "minimum", "maximum", "minItems"}]
    if not bounds:
        return False
    key = dice.choice(bounds)
    if dice.random() < 0.2:
        del field[key]
    else:
        field[key] = max(0, field[key] + dice.choice([-1, 1]))
    return True


def _new_bound(node: Node, name: str, dice: random.Random) -> bool:
    field = node["properties"][name]
    kind = field.get("type")
    choices = {
        "string": [("minLength", 1), ("maxLength", 40), ("maxLength", 3), ("format", "uuid"), ("pattern", "^[a-z]+$")],
        "integer": [("minimum", 0), ("maximum", 100), ("multipleOf", 2)],
        "array": [("maxItems", 2), ("uniqueItems", True)],
    }.get(kind if isinstance(kind, str) else "", [])
    if not choices:
        return False
    key, value = dice.choice(choices)
    field[key] = value
    return True


def _pattern(node: Node, name: str, dice: random.Random) -> bool:
    field = node["properties"][name]
    if "pattern" not in field:
        return False
    patterns = ["^[0-9]+$", "^[0-9]{1,9}(\\.[0-9]{1,2})?$", "^[A-Z]{3}$", "^[A-Za-z]{2,3}$", "^[A-Za-z][A-Za-z]{2}$"]
    field["pattern"] = dice.choice(patterns)
    return True


def _format(node: Node, name: str, dice: random.Random) -> bool:
    field = node["properties"][name]
    if "format" not in field:
        return False
    if dice.random() < 0.5:
        del field["format"]
    else:
        field["format"] = dice.choice(["date", "uuid", "date-time"])
    return True


def _values(node: Node, name: str, dice: random.Random) -> bool:
    field = node["properties"][name]
    if not {"const", "enum"} & field.keys():
        return False
    values = field.pop("enum", None) or [field.pop("const")]
    field["enum"] = dice.choice([[*values, "OTHER"], ["OTHER"], values])
    return True


def _shape(node: Node, name: str, _: random.Random) -> bool:
    node["properties"][name] = {"anyOf": [node["properties"][name], {"type": "null"}]}
    return True


def _detour(node: Node, name: str, _: random.Random) -> bool:
    node["properties"][name] = {"allOf": [node["properties"][name]]}
    return True


EDITS: tuple[Callable[[Node, str, random.Random], bool], ...] = (
    *(_removal, _addition, _obligation, _type, _bound, _bound, _new_bound, _pattern, _format, _values),
    *(_shape, _detour),
)
