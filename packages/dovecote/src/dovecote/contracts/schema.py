"""What the schema of a payload must be: draft 2020-12, of an object, whole in itself, open to unknown fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs

from dovecote.contracts.problem import Problem, nearest, pointer

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_MAPS = ("properties", "patternProperties", "$defs", "dependentSchemas")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = (
    "items",
    "additionalProperties",
    "unevaluatedProperties",
    "unevaluatedItems",
    "propertyNames",
    "contains",
    "contentSchema",
    "not",
    "if",
    "then",
    "else",
)
KEYWORDS = frozenset(
    # One readable block: what draft 2020-12 knows.
    """
    $schema $id $ref $anchor $dynamicRef $dynamicAnchor $vocabulary $comment
    title description default deprecated readOnly writeOnly examples
    type enum const multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern
    maxItems minItems uniqueItems maxContains minContains maxProperties minProperties required dependentRequired
    format contentEncoding contentMediaType
    """.split()  # noqa: SIM905
) | {*_MAPS, *_LISTS, *_SINGLE}
FORMATS = frozenset(
    # Those that draft 2020-12 defines; a validator passes over any other without a word.
    """
    date-time date time duration email idn-email hostname idn-hostname ipv4 ipv6 uri uri-reference iri iri-reference
    uuid uri-template json-pointer relative-json-pointer regex
    """.split()  # noqa: SIM905
)


def schema_problems(file: str, schema: Any) -> Iterator[Problem]:
    """Each thing for which a document cannot be the schema of an event's payload."""
    if not isinstance(schema, dict) or schema.get("$schema") != DRAFT or schema.get("type") != "object":
        mend = f'give it "$schema": "{DRAFT}" and "type": "object"'
        yield Problem(file, "", "it is not the schema of a payload object", mend)
        return
    for at, node in nodes(schema):
        yield from _node(file, at, node)
    if _outward(schema):
        return  # the validator would fetch what it points to
    try:
        jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    except jsonschema_rs.ValidationError as error:
        wrong = f"it is not a JSON Schema of draft 2020-12 ({error.message})"
        yield Problem(file, pointer(*error.instance_path), wrong, "correct the schema")
    except ValueError as error:
        wrong = f"it is not a JSON Schema of draft 2020-12 ({str(error).splitlines()[0]})"
        yield Problem(file, "", wrong, "correct the schema")


def usable(schema: Any) -> bool:
    """Whether payloads can be held against a schema, whatever else is wrong with it."""
    if not isinstance(schema, dict) or _outward(schema):
        return False
    try:
        jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    except ValueError:
        return False
    return True


def nodes(schema: Any, at: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A schema and every schema in it, each with its JSON pointer; whatever is malformed is passed over."""
    if not isinstance(schema, Mapping):
        return
    yield at, schema
    for keyword in _SINGLE:
        yield from nodes(schema.get(keyword), at + pointer(keyword))
    for keyword in _MAPS:
        if isinstance(inner := schema.get(keyword), Mapping):
            for name, node in inner.items():
                yield from nodes(node, at + pointer(keyword, name))
    for keyword in _LISTS:
        if isinstance(branches := schema.get(keyword), list):
            for number, node in enumerate(branches):
                yield from nodes(node, at + pointer(keyword, number))


def _node(file: str, at: str, node: Mapping[str, Any]) -> Iterator[Problem]:
    for keyword in node:
        if keyword not in KEYWORDS and not keyword.startswith("x-"):
            wrong = f"draft 2020-12 has no keyword {keyword!r}, so it says nothing{nearest(keyword, KEYWORDS)}"
            yield Problem(file, at + pointer(keyword), wrong, "correct its name, or begin it with x-")
    if isinstance(form := node.get("format"), str) and form not in FORMATS:
        wrong = f"there is no format {form!r}, so nothing is checked{nearest(form, FORMATS)}"
        yield Problem(file, at + "/format", wrong, "name a format of draft 2020-12, or write a pattern")
    for keyword in ("additionalProperties", "unevaluatedProperties"):
        if node.get(keyword) is False:
            mend = f"take {keyword} out: readers are tolerant, and the next optional field must not break them"
            yield Problem(file, at + pointer(keyword), "it forbids unknown fields", mend)
    for keyword in ("$ref", "$dynamicRef"):
        if isinstance(target := node.get(keyword), str) and not target.startswith("#"):
            mend = "copy the part into $defs: a contract is read without a network, and changes only by itself"
            yield Problem(file, at + pointer(keyword), f"it points out of the file, to {target}", mend)


def _outward(schema: Any) -> bool:
    references = (node.get(keyword) for _, node in nodes(schema) for keyword in ("$ref", "$dynamicRef"))
    return any(isinstance(target, str) and not target.startswith("#") for target in references)
