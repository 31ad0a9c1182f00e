"""The smallest instance found that one schema allows and another refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import jsonschema_rs

from dovecote.contracts.compatibility.normal import Schema

Test: TypeAlias = Callable[[Any], bool]
ROUNDS_MAX = 200


def accepts(schema: Schema) -> Test:
    """The question whether an instance is valid, formats on."""
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True).is_valid


def smallest(instances: Iterator[Any] | list[Any], shows: Test) -> Any | None:
    """The smallest instance that shows something: the first that does, made smaller while it still does.

    None where none does; a payload is an object, so None is no instance here.
    """
    found = next((instance for instance in instances if shows(instance)), None)
    if found is None:
        return None
    for _ in range(ROUNDS_MAX):
        less = next((smaller for smaller in _smaller(found) if shows(smaller)), None)
        if less is None:
            break
        found = less
    return found


def text(instance: Any) -> str:
    """An instance as JSON, as a person reads it."""
    return json.dumps(instance, ensure_ascii=False)


def _smaller(value: Any) -> Iterator[Any]:
    """The value with one thing less: a field, an item, a few characters."""
    if isinstance(value, dict):
        for name in value:
            yield {other: inner for other, inner in value.items() if other != name}
        for name, inner in value.items():
            for less in _smaller(inner):
                yield {**value, name: less}
    elif isinstance(value, list):
        if len(value) > 3:
            yield value[: len(value) // 2]
        for at in range(len(value)):
            yield value[:at] + value[at + 1 :]
        for at, inner in enumerate(value):
            for less in _smaller(inner):
                yield [*value[:at], less, *value[at + 1 :]]
    elif isinstance(value, str) and len(value) > 1:
        yield value[: len(value) // 2]
        yield value[:-1]
