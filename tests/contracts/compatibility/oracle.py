"""The judge of the checker: two JSON Schema validators, and a closed world asked of an instance, not of a schema.

It shares nothing with what it judges but jsonschema-rs, and there python-jsonschema has to say the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import jsonschema_rs

FORMATS = jsonschema.Draft202012Validator.FORMAT_CHECKER
IN_PLACE = ("allOf", "anyOf", "oneOf")


class DisagreementError(AssertionError):
    """The two validators differ about an instance, so it proves nothing."""


class Oracle:
    """One schema, and what may be said of instances under it."""

    def __init__(self, schema: Any) -> None:
        self.schema = schema
        self._fast = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        self._slow = jsonschema.Draft202012Validator(schema, format_checker=FORMATS)

    def reads(self, instance: Any) -> bool:
        """Whether the instance is valid; both validators are asked, and must agree."""
        fast, slow = self._fast.is_valid(instance), self._slow.is_valid(instance)
        if fast is not slow:
            raise DisagreementError(f"{instance!r} under {self.schema}: {fast} and {slow}")
        return fast

    def quickly_reads(self, instance: Any) -> bool:
        """Whether the instance is valid, as the faster validator says."""
        return self._fast.is_valid(instance)

    def declares(self, instance: Any) -> bool:
        """Whether every field of a valid instance is one that the schema declares: whether a writer may write it."""
        return self._declared(instance, [self.schema])

    def _declared(self, value: Any, schemas: list[Any]) -> bool:
        said = [node for schema in schemas for node in self._applied(schema, value)]
        if isinstance(value, list):
            return all(self._declared(item, list(_of_item(said, at))) for at, item in enumerate(value))
        if not isinstance(value, dict):
            return True
        open_map = not any(_names_fields(schema, self.schema) for schema in schemas)
        for name, inner in value.items():
            speaking = [found for node in said for found in _of_field(node, name)]
            if not speaking and not open_map and not any("additionalProperties" in node for node in said):
                return False
            if not self._declared(inner, speaking):
                return False
        return True

    def _applied(self, schema: Any, value: Any) -> Iterator[dict[str, Any]]:
        """The schema objects that hold for a value at its place: those of branches it does not meet are left out."""
        if not isinstance(schema, dict) or not self._slow.evolve(schema=schema).is_valid(value):
            return
        yield schema
        inner = [child for keyword in IN_PLACE for child in schema.get(keyword, ())]
        inner += [schema[keyword] for keyword in ("if", "then", "else") if keyword in schema and "if" in schema]
        inner += [child for name, child in schema.get("dependentSchemas", {}).items() if name in value]
        if "$ref" in schema:
            inner.append(resolved(schema["$ref"], self.schema))
        for child in inner:
            yield from self._applied(child, value)


def resolved(reference: str, root: Any) -> Any:
    """What a reference within a schema names."""
    node = root
    if not reference.startswith("#/"):
        return next(one for one in root["$defs"].values() if one.get("$anchor") == reference[1:])
    for step in reference.split("/")[1:]:
        node = node[step]
    return node


def _names_fields(schema: Any, root: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    if schema.keys() & {"properties", "patternProperties"}:
        return True
    inner = [child for keyword in IN_PLACE for child in schema.get(keyword, ())]
    inner += [schema[keyword] for keyword in ("if", "then", "else") if keyword in schema]
    inner += [resolved(schema["$ref"], root)] if "$ref" in schema else []
    return any(_names_fields(child, root) for child in inner)


def _of_field(node: dict[str, Any], name: str) -> list[Any]:
    found = [node["properties"][name]] if name in node.get("properties", {}) else []
    found += [child for pattern, child in node.get("patternProperties", {}).items() if re.search(pattern, name)]
    return found or ([node["additionalProperties"]] if "additionalProperties" in node else [])


def _of_item(said: list[dict[str, Any]], at: int) -> Iterator[Any]:
    for node in said:
        prefix = node.get("prefixItems", ())
        if at < len(prefix):
            yield prefix[at]
        elif "items" in node:
            yield node["items"]
