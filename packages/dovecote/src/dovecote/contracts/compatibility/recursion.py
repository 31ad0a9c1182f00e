"""A proof by induction for schemas that contain themselves: trees, threads, nested categories."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from dovecote.contracts.compatibility.normal import Schema

_IN_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "patternProperties")


class Induction:
    """Shows that the values of one recursive schema lie within another, field by field and item by item.

    A pair of definitions is taken for granted inside itself: a value is finite, so whoever doubts the inner value is
    led to an innermost one, at which nothing is taken for granted. What is not spelt in ``properties`` and ``items``
    but refers to a definition (in ``oneOf``, say) is beyond this proof.
    """

    def __init__(self, inner: Schema, outer: Schema, flat: Callable[[Schema, Schema], bool]) -> None:
        self._inner, self._outer = inner, outer
        self._flat = flat
        self._granted: set[str] = set()

    def holds(self) -> bool:
        """Whether the proof was found."""
        if not isinstance(self._inner, dict) or not isinstance(self._outer, dict):
            return False
        return self._within(_without(self._inner, "$defs"), _without(self._outer, "$defs"))

    def _within(self, inner: Schema, outer: Schema) -> bool:
        if not _refers(inner) and not _refers(outer):
            return self._flat(inner, outer)
        if not isinstance(inner, dict) or not isinstance(outer, dict):
            return outer is True
        if "$ref" in inner or "$ref" in outer:
            pair = json.dumps([inner, outer], sort_keys=True)
            if pair in self._granted:
                return True
            self._granted.add(pair)
            unfolded = _unfolded(inner, self._inner), _unfolded(outer, self._outer)
            return None not in unfolded and self._within(*unfolded)
        rest = _without(outer, "properties", "items")
        if _refers(rest) or "prefixItems" in inner or "prefixItems" in outer:
            return False
        return (
            self._flat(_loosened(inner), rest)
            and all(self._field(inner, name, asked) for name, asked in outer.get("properties", {}).items())
            and ("items" not in outer or self._within(inner.get("items", True), outer["items"]))
        )

    def _field(self, inner: Mapping[str, Any], name: str, asked: Schema) -> bool:
        if name in inner.get("properties", {}):
            return self._within(inner["properties"][name], asked)
        shut = inner.get("unevaluatedProperties") is False or inner.get("additionalProperties") is False
        if shut and not inner.keys() & {*_IN_PLACE} and inner.get("additionalProperties", False) is False:
            return True  # nobody writes it
        return asked is True or asked == {}


def _refers(node: Schema) -> bool:
    return '"$ref"' in json.dumps(node)


def _without(node: Mapping[str, Any], *keywords: str) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key not in keywords}


def _unfolded(node: Mapping[str, Any], whole: Mapping[str, Any]) -> Schema | None:
    """A reference as the definition it names, with what stood beside it; None where the two say the same keyword."""
    if "$ref" not in node:
        return node
    definition = whole["$defs"].get(node["$ref"].rpartition("/")[2].replace("~1", "/").replace("~0", "~"))
    beside = _without(node, "$ref")
    if not isinstance(definition, dict) or beside.keys() & definition.keys():
        return None
    return {**definition, **beside}


def _loosened(node: Schema) -> Schema:
    """The schema with everything that refers to a definition let go: it allows the same values, and more."""
    if not isinstance(node, dict):
        return node
    made: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            made[key] = {name: True if _refers(child) else child for name, child in value.items()}
        elif not _refers(value):
            made[key] = value
    return made
