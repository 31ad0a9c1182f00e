"""The closed world: what a writer that keeps to its schema may write, namely the fields that the schema declares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from dovecote.contracts.compatibility.normal import Schema

_ALL_APPLY = ("allOf", "anyOf")


def closed(tree: Schema) -> Schema:
    """A normal schema in which every object that declares fields has no other ones.

    An object that declares none is a map, and one that says ``additionalProperties`` has said what else it holds: both
    stay as they are. So do ``not``, ``if``, ``contains`` and ``propertyNames``, which ask and do not declare.
    """
    if not isinstance(tree, dict):
        return tree
    made = _location(tree)
    if "$defs" in tree:
        # A definition is used in place too, so it is closed inside and left open where it stands.
        made["$defs"] = {name: _inside(node, {}) for name, node in tree["$defs"].items()}
    return made


def _location(node: Schema, names: frozenset[str] | None = None) -> Schema:
    """The schema of a value, closed. With ``names``, other schemas speak of the same value: these names are declared.

    For such a value the closed world is a little wider than it is (a name declared by one of them is taken for
    declared; without a name it stays open), which may cost a false alarm and never a miss.
    """
    if not isinstance(node, dict):
        return node
    made = _inside(node, _shared(node))
    if _declares(node) and not node.keys() & {"unevaluatedProperties", "additionalProperties"}:
        if names is None:
            made["unevaluatedProperties"] = False
        elif names:
            made["allOf"] = [*made.get("allOf", ()), {"propertyNames": {"enum": sorted(names)}}]
    return made


def _inside(node: Schema, shared: Mapping[str, frozenset[str]]) -> Schema:
    """A schema whose child values are closed, and which is itself open for others in its place."""
    if not isinstance(node, dict):
        return node
    made = {key: value for key, value in node.items() if key != "$defs"}
    for keyword in ("items", "additionalProperties", "unevaluatedProperties", "unevaluatedItems"):
        if keyword in node:
            made[keyword] = _location(node[keyword])
    if "prefixItems" in node:
        made["prefixItems"] = [_location(child) for child in node["prefixItems"]]
    for keyword in ("properties", "patternProperties"):
        if keyword in node:
            made[keyword] = {name: _location(child, shared.get(name)) for name, child in node[keyword].items()}
    for keyword in ("then", "else"):
        if keyword in node:
            made[keyword] = _inside(node[keyword], shared)
    if "dependentSchemas" in node:
        made["dependentSchemas"] = {name: _inside(child, shared) for name, child in node["dependentSchemas"].items()}
    for keyword in ("allOf", "anyOf", "oneOf"):
        if keyword in node:
            made[keyword] = [_inside(child, shared) for child in node[keyword]]
    if "oneOf" in node and made["oneOf"] != node["oneOf"]:
        # Closing a branch may make a value fit one branch alone that fits two: the open ones must be kept as well.
        made["allOf"] = [*made.get("allOf", ()), {"oneOf": node["oneOf"]}]
    return made


def _declares(node: Schema) -> bool:
    """Whether a schema, or one in its place, names fields."""
    if not isinstance(node, dict):
        return False
    if "properties" in node or "patternProperties" in node or "$ref" in node:
        return True
    inner = [*(child for keyword in ("allOf", "anyOf", "oneOf") for child in node.get(keyword, ()))]
    inner += [node[keyword] for keyword in ("if", "then", "else") if keyword in node]
    inner += node.get("dependentSchemas", {}).values()
    return any(_declares(child) for child in inner)


def _shared(node: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """The fields of which several schemas in this place speak at once, with all names that any of them declares.

    No name where one of them allows names that are not listed.
    """
    several = [name for name, count in _speaking(node).items() if count > 1]
    below = {name: _below(node, name) for name in several}
    return {
        name: frozenset() if None in names else frozenset(one for one in names if one is not None)
        for name, names in below.items()
    }


def _speaking(node: Schema) -> Counter[str]:
    """How many schemas in this place may speak of each field at once; of ``oneOf`` only one does."""
    counted: Counter[str] = Counter()
    if not isinstance(node, dict):
        return counted
    counted.update(node.get("properties", {}).keys())
    for child in (*(c for k in _ALL_APPLY for c in node.get(k, ())), *node.get("dependentSchemas", {}).values()):
        counted.update(_speaking(child))
    for keyword in ("then", "else"):
        counted.update(_speaking(node.get(keyword)))
    most: Counter[str] = Counter()
    for child in node.get("oneOf", ()):
        most |= _speaking(child)
    counted.update(most)
    return counted


def _below(node: Schema, field: str) -> set[str | None]:
    """Every name that some schema in this place declares inside a field; None for names that are not listed."""
    if not isinstance(node, dict):
        return set()
    names = _names(node["properties"][field]) if field in node.get("properties", {}) else set()
    inner = [child for keyword in ("allOf", "anyOf", "oneOf") for child in node.get(keyword, ())]
    inner += [*node.get("dependentSchemas", {}).values(), node.get("then"), node.get("else")]
    return names.union(*(_below(child, field) for child in inner))


def _names(node: Schema) -> set[str | None]:
    """Every name that a schema, or one in its place, declares; None for names that are not listed."""
    if not isinstance(node, dict):
        return set()
    inner = [child for keyword in ("allOf", "anyOf", "oneOf") for child in node.get(keyword, ())]
    inner += [*node.get("dependentSchemas", {}).values(), node.get("then"), node.get("else"), node.get("if")]
    open_: set[str | None] = {None} if node.keys() & {"additionalProperties", "patternProperties", "$ref"} else set()
    return open_.union(node.get("properties", {}), *(_names(child) for child in inner))
