"""A proof that every value of one schema is a value of another; where there is none, nothing is said."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs

from dovecote.contracts.compatibility.language import Condition, Length, within
from dovecote.contracts.compatibility.normal import Schema, children
from dovecote.contracts.compatibility.recursion import Induction

# Every value of the first format is one of the second, by the RFCs that define them.
WIDER_FORMATS: Mapping[str, tuple[str, ...]] = {
    "email": ("idn-email",),
    "hostname": ("idn-hostname",),
    "uri": ("uri-reference", "iri", "iri-reference"),
    "uri-reference": ("iri-reference",),
    "iri": ("iri-reference",),
}
_DATE, _TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}", r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
# A pattern that every value of the format has; it may let more through than the format does.
FORMAT_PATTERNS: Mapping[str, str] = {
    "date": f"^{_DATE}$",
    "time": f"^{_TIME}$",
    "date-time": f"^{_DATE}[Tt]{_TIME}$",
    "uuid": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
    "ipv4": r"^[0-9]{1,3}(\.[0-9]{1,3}){3}$",
    "ipv6": "^[0-9a-fA-F:.]{2,45}$",
}


def included(inner: Schema, outer: Schema) -> bool:
    """Whether it is proved that whatever is valid under ``inner`` is valid under ``outer``.

    The proof is jsonschema-rs's, by canonical forms; what its algebra does not know of strings (that one pattern's
    language lies within another's, what a pattern says of the length) is put in its hands as facts beforehand, and
    schemas that contain themselves are taken apart by induction.
    """
    if _text(inner) == _text(outer) or _covered(inner, outer):
        return True
    recursive = any(isinstance(side, dict) and side.get("$defs") for side in (inner, outer))
    return recursive and Induction(inner, outer, _covered).holds()


def _covered(inner: Schema, outer: Schema) -> bool:
    facts = list(_conditions(outer))
    try:
        promised = jsonschema_rs.canonicalize(_told(inner, facts, _names(outer)), validate_formats=True)
        asked = jsonschema_rs.canonicalize(outer, validate_formats=True)
        answer = asked.covers(promised)
    except (ValueError, jsonschema_rs.ReferencingError):
        return False
    return answer == jsonschema_rs.canonical.Containment.YES


def _text(schema: Schema) -> str:
    return json.dumps(schema, sort_keys=True)


def _conditions(node: Schema) -> Iterator[tuple[str, Any]]:
    """Each thing that a schema asks of strings anywhere: keyword and value, once each."""
    seen = set()
    for found in _all(node):
        for keyword in ("pattern", "minLength", "maxLength", "format"):
            if keyword in found and (keyword, found[keyword]) not in seen:
                seen.add((keyword, found[keyword]))
                yield keyword, found[keyword]


def _all(node: Schema) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, dict):
        yield node
        for _, child in children(node):
            yield from _all(child)


def _names(node: Schema) -> frozenset[str]:
    """Each field that a schema speaks of anywhere."""
    return frozenset(name for found in _all(node) for name in found.get("properties", ()))


def _told(node: Schema, facts: list[tuple[str, Any]], names: frozenset[str]) -> Schema:
    """The same schema, which also says which facts of strings follow from it, and what a map holds under a name."""
    if not isinstance(node, dict):
        return node
    made = dict(node)
    for step, child in children(node):
        told = _told(child, facts, names)
        keyword = str(step[0])
        if len(step) == 1:
            made[keyword] = told
        elif isinstance(step[1], int):
            made[keyword] = [told if at == step[1] else other for at, other in enumerate(made[keyword])]
        else:
            made[keyword] = {**made[keyword], step[1]: told}
    if node.get("additionalProperties") not in (None, False) and "patternProperties" not in node:
        of_map = dict.fromkeys(names - node.get("properties", {}).keys(), made["additionalProperties"])
        made["properties"] = {**of_map, **made.get("properties", {})}
    holds = _strings(node)
    if holds or "format" in node:
        wider = WIDER_FORMATS.get(node.get("format", ""), ())
        follows = [
            {keyword: value}
            for keyword, value in facts
            if node.get(keyword) != value
            and (value in wider if keyword == "format" else within(holds, _condition(keyword, value)))
        ]
        if follows:
            made["allOf"] = [*made.get("allOf", ()), *follows]
    return made


def _strings(node: Mapping[str, Any]) -> tuple[Condition, ...]:
    """What one schema says of strings, by itself."""
    holds: list[Condition] = []
    if "minLength" in node or "maxLength" in node:
        holds.append(Length(node.get("minLength", 0), node.get("maxLength")))
    if "pattern" in node:
        holds.append(node["pattern"])
    if node.get("format") in FORMAT_PATTERNS:
        holds.append(FORMAT_PATTERNS[node["format"]])
    return tuple(holds)


def _condition(keyword: str, value: Any) -> Condition:
    if keyword == "pattern":
        return str(value)
    return Length(value) if keyword == "minLength" else Length(0, value)
