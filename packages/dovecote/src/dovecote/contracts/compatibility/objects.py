"""Objects that try the edges of what schemas say of fields: which are there, and what is in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from dovecote.contracts.compatibility import samples
from dovecote.contracts.compatibility.normal import Schema

if TYPE_CHECKING:
    from dovecote.contracts.compatibility.instances import Instances

Node = Mapping[str, Any]
NAMES_MAX = 60
PAIRS_OF_NAMES_MAX = 12
PAIRS_OF_VALUES_MAX = 6
VALUES_IN_PAIRS_MAX = 12


def objects(
    maker: Instances, alternative: Sequence[Node], hints: Sequence[Node], depth: int
) -> Iterator[dict[str, Any]]:
    """Objects with few fields and with all, each value of each field in both, and pairs of these."""
    columns = _columns(maker, alternative, hints, depth)
    required = {name for node in alternative for name in node.get("required", ())}
    if not required <= columns.keys():
        return
    needs = [node["dependentRequired"] for node in (*alternative, *hints) if "dependentRequired" in node]
    optional = [name for name in columns if name not in required]
    first = {name: column[0] for name, column in columns.items()}
    few = {name: first[name] for name in columns if name in required}
    full = dict(first)
    yield few
    yield full
    for size in _sizes((*alternative, *hints)):
        yield {name: first[name] for name in [*few, *optional][:size]}
    for name in optional:
        yield (more := {**few, name: first[name]})
        yield _without(full, name)
        yield {**more, **{other: first[other] for need in needs for other in need.get(name, ()) if other in first}}
    for name, column in columns.items():
        for value in column:
            yield {**few, name: value}
            yield {**full, name: value}
    yield from _pairs(columns, few, full, optional)


def _pairs(
    columns: Mapping[str, Sequence[Any]], few: Mapping[str, Any], full: Mapping[str, Any], optional: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """A value here while another field comes or goes; in small objects, a value here and a value there."""
    if len(columns) <= PAIRS_OF_NAMES_MAX:
        for name, column in columns.items():
            for value in column[:VALUES_IN_PAIRS_MAX]:
                for other in optional:
                    if other != name:
                        yield {**few, name: value, other: full[other]}
                        yield {**_without(full, other), name: value}
        for name, other in combinations(optional, 2):
            yield {**few, name: full[name], other: full[other]}
            yield _without(_without(full, name), other)
    if len(columns) <= PAIRS_OF_VALUES_MAX:
        for name, other in combinations(columns, 2):
            for value in columns[name][:VALUES_IN_PAIRS_MAX]:
                for there in columns[other][:VALUES_IN_PAIRS_MAX]:
                    yield {**few, name: value, other: there}


def _columns(
    maker: Instances, alternative: Sequence[Node], hints: Sequence[Node], depth: int
) -> dict[str, Sequence[Any]]:
    """Every field that may be there, with values for it."""
    columns: dict[str, Sequence[Any]] = {}
    for name in _names(alternative, hints):
        promised = tuple(schema for node in alternative for schema in _field(node, name))
        asked = tuple(schema for node in hints for schema in _field(node, name))
        if values := maker.values(promised, asked, depth + 1):
            columns[name] = values
    return columns


def _names(alternative: Sequence[Node], hints: Sequence[Node]) -> list[str]:
    """The names to try: those that are declared, and for a map those that somebody speaks of, and some others."""
    names = dict.fromkeys(name for node in alternative for name in node.get("properties", ()))
    patterns = [pattern for node in alternative for pattern in node.get("patternProperties", ())]
    told = [node["propertyNames"] for node in (*alternative, *hints) if isinstance(node.get("propertyNames"), dict)]
    shut = any(
        node.get(key) is False for node in alternative for key in ("unevaluatedProperties", "additionalProperties")
    )
    if patterns or not shut:
        names.update(dict.fromkeys(samples.names(patterns, told)))
    if not shut:
        for node in (*alternative, *hints):
            names.update(dict.fromkeys((*node.get("properties", ()), *node.get("required", ()))))
            names.update(dict.fromkeys(node.get("dependentRequired", ())))
        names.update(dict.fromkeys(name for node in told for name in node.get("enum", ()) if isinstance(name, str)))
        names.update(dict.fromkeys(f"k{number}" for number in range(max(_sizes((*alternative, *hints)), default=0))))
    return [name for name in list(names)[:NAMES_MAX] if all(_named(node, name) for node in alternative)]


def _named(node: Node, name: str) -> bool:
    """Whether ``propertyNames`` of a schema lets a name pass."""
    rule = node.get("propertyNames")
    if rule is None or not isinstance(rule, dict) or "$ref" in rule:
        return rule is not False
    return jsonschema_rs.is_valid(rule, name)


def _field(node: Node, name: str) -> list[Schema]:
    """What a schema says of a field by its name."""
    found = [node["properties"][name]] if name in node.get("properties", {}) else []
    found += [schema for pattern, schema in node.get("patternProperties", {}).items() if _matches(pattern, name)]
    if not found and "additionalProperties" in node:
        found.append(node["additionalProperties"])
    return found


def _sizes(says: Sequence[Node]) -> list[int]:
    """Numbers of fields on an edge."""
    edges = [node[key] for node in says for key in ("minProperties", "maxProperties") if key in node]
    return sorted({size for edge in edges for size in (edge - 1, edge, edge + 1) if 0 <= size <= NAMES_MAX})


def _without(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {other: value for other, value in fields.items() if other != name}


@lru_cache(maxsize=1024)
def _matches(pattern: str, name: str) -> bool:
    return jsonschema_rs.Draft202012Validator({"pattern": pattern}).is_valid(name)
