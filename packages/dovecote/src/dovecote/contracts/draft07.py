"""A JSON Schema of draft 2020-12 said in draft 07, the one that AsyncAPI's tools read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dovecote.errors import ContractError

# Keywords of 2020-12 for which draft 07 has no words.
_UNSAYABLE = frozenset(
    {
        *("$anchor", "$dynamicRef", "$dynamicAnchor", "$vocabulary"),
        *("minContains", "maxContains", "unevaluatedItems", "unevaluatedProperties"),
    }
)
_MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SINGLE = frozenset({"items", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else"})


def draft07(schema: Mapping[str, Any], at: str) -> dict[str, Any]:
    """The same promise in draft 07; ``at`` is the JSON pointer under which the schema will stand in its document.

    ``$schema`` and ``$id`` go, since the schema becomes part of another document. Raises ContractError for a keyword
    that draft 07 cannot say.
    """
    node = {key: value for key, value in schema.items() if key not in {"$schema", "$id"}}
    return _node(node, at)


def _node(node: Mapping[str, Any], at: str) -> dict[str, Any]:
    if strange := sorted(_UNSAYABLE & node.keys()):
        words = ", ".join(strange)
        raise ContractError(f"{at}: AsyncAPI reads draft 07 of JSON Schema, which has no {words}; say it otherwise.")
    found = {key: _value(key, value, at) for key, value in node.items()}
    if "prefixItems" in found:
        rest = found.pop("items", None)
        found["items"] = found.pop("prefixItems")
        if rest is not None:
            found["additionalItems"] = rest
    dependencies = {**found.pop("dependentRequired", {}), **found.pop("dependentSchemas", {})}
    if dependencies:
        found["dependencies"] = dependencies
    # Draft 07 ignores what stands beside a reference.
    if "$ref" in found and len(found) > 1:
        found["allOf"] = [{"$ref": found.pop("$ref")}, *found.get("allOf", ())]
    return found


def _value(key: str, value: Any, at: str) -> Any:
    if key == "$ref":
        return f"#{at}{value[1:]}" if isinstance(value, str) and value.startswith("#") else value
    if key in _MAPS and isinstance(value, Mapping):
        return {name: _any(inner, at) for name, inner in value.items()}
    if key in _LISTS and isinstance(value, list):
        return [_any(inner, at) for inner in value]
    return _any(value, at) if key in _SINGLE else value


def _any(value: Any, at: str) -> Any:
    """A schema may also be true or false."""
    return _node(value, at) if isinstance(value, Mapping) else value
