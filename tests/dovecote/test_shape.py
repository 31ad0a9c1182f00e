"""A Struct and a schema that differ in anything are told apart; where they do not, they take the same values."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import jsonschema_rs
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Meta

from dovecote.contracts.refusal import place_of
from dovecote.contracts.shape import reader_asks_too_much, writer_differs
from dovecote.events import Event

DIGITS = r"^[0-9]+(\.[0-9]+)?\Z"
CODE = r"^[A-Z]{3}\Z"


class Line(msgspec.Struct, frozen=True, rename="camel"):
    quantity: Annotated[int, Meta(ge=1, lt=2**31)]
    price: Annotated[str, Meta(pattern=DIGITS)]


class Sold(Event, frozen=True):
    EVENT = "thing.sold.v1"
    name: Annotated[str, Meta(min_length=1, max_length=5)]
    lines: Annotated[tuple[Line, ...], Meta(min_length=1)]
    at: Annotated[datetime, Meta(tz=True)]
    kind: Literal["new", "old"]
    tags: dict[str, Annotated[int, Meta(ge=0)]]
    code: Annotated[str, Meta(pattern=CODE)] | None = None
    cost: Annotated[str, Meta(pattern=DIGITS)] | Annotated[int, Meta(ge=0)] | Annotated[float, Meta(ge=0)] | None = None
    note: str | None = None


LINE = {
    "type": "object",
    "properties": {
        "quantity": {"type": "integer", "minimum": 1, "maximum": 2147483647},
        "price": {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?$"},
    },
    "required": ["quantity", "price"],
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 5},
        "lines": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/line"}},
        "at": {"type": "string", "format": "date-time"},
        "kind": {"enum": ["new", "old"]},
        "tags": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
        "code": {"type": "string", "pattern": "^[A-Z]{3}$"},
        "cost": {"type": ["string", "number"], "minimum": 0, "pattern": "^[0-9]+(\\.[0-9]+)?$"},
        "note": {"type": ["string", "null"]},
    },
    "required": ["name", "lines", "at", "kind", "tags"],
    "$defs": {"line": LINE},
}


def test_equal_is_equal() -> None:
    """Bounds, references, alternatives, open ends and patterns in either language are seen through."""
    assert list(writer_differs(Sold, SCHEMA)) == []
    assert list(reader_asks_too_much(Sold, SCHEMA)) == []


CHANGES: list[tuple[str, dict[str, Any], str, str]] = [
    ("name", {"maxLength": 6}, "/properties/name/maxLength", "max_length=6"),
    ("name", {"maxLength": None}, "/properties/name", "take max_length out"),
    ("name", {"minLength": 2}, "/properties/name/minLength", "min_length=2"),
    ("name", {"pattern": "^a$"}, "/properties/name/pattern", r'pattern=r"^a\Z"'),
    ("name", {"type": "integer"}, "/properties/name", "allow integer"),
    ("name", {"not": {"const": "x"}}, "/properties/name/not", "say it with types"),
    ("lines", {"minItems": 2}, "/properties/lines/minItems", "min_length=2"),
    ("lines", {"maxItems": 9}, "/properties/lines/maxItems", "max_length=9"),
    ("lines", {"uniqueItems": True}, "/properties/lines/uniqueItems", "say it with types"),
    ("at", {"format": "date"}, "/properties/at/format", "the type of date"),
    ("kind", {"enum": ["new"]}, "/properties/kind/enum", "Literal of new"),
    ("kind", {"enum": ["new", "old", "lost"]}, "/properties/kind/enum", "Literal of lost, new, old"),
    ("tags", {"additionalProperties": {"type": "integer"}}, "/properties/tags/additionalProperties", "take ge out"),
    ("code", {"pattern": "^[A-Z]{2}$"}, "/properties/code/pattern", r'pattern=r"^[A-Z]{2}\Z"'),
    ("cost", {"minimum": 1}, "/properties/cost/minimum", "ge=1"),
    ("note", {"maxLength": 9}, "/properties/note/maxLength", "max_length=9"),
]


@pytest.mark.parametrize("compare", [writer_differs, reader_asks_too_much])
@pytest.mark.parametrize(("field", "change", "pointer", "mend"), CHANGES)
def test_each_bound_is_compared(compare: Any, field: str, change: dict[str, Any], pointer: str, mend: str) -> None:
    """A bound that is missing, is another, or is one too many is named with its pointer and its mend, by both."""
    node = {**SCHEMA["properties"][field], **change}
    spoilt = {name: value for name, value in node.items() if value is not None}
    found = list(compare(Sold, {**SCHEMA, "properties": {**SCHEMA["properties"], field: spoilt}}))
    assert any(each.pointer == pointer and mend in each.mend for each in found), found


def test_bounds_inside_arrays_and_references_are_compared() -> None:
    """A line's quantity is as much a bound as the order's name."""
    line = {**LINE, "properties": {**LINE["properties"], "quantity": {"type": "integer", "minimum": 0}}}  # type: ignore[dict-item]
    found = list(reader_asks_too_much(Sold, {**SCHEMA, "$defs": {"line": line}}))
    at = "/properties/lines/items/properties/quantity"
    assert [each.pointer for each in found] == [f"{at}/minimum", at]
    assert [each.wrong for each in found] == [
        "minimum is 0 in the schema and 1 in the Struct",
        "maximum is 2147483647 in the Struct, and the schema has none",
    ]


class Loose(Event, frozen=True):
    """Reads what it reads without the bounds, or with those of another language."""

    EVENT = "thing.sold.v1"
    name: str = ""
    code: Annotated[str, Meta(pattern="^[A-Z]{3}$")] | None = None
    cost: Decimal | None = None
    note: Annotated[str, Meta(pattern=r"^\d+\Z")] | None = None


def test_a_reader_without_bounds_is_named() -> None:
    """It relies on what nobody has checked; a Decimal, a bare $ and a Unicode class are no bounds."""
    found = {(each.pointer, each.wrong) for each in reader_asks_too_much(Loose, SCHEMA)}
    assert {pointer for pointer, _ in found} == {
        "/properties/name/minLength",
        "/properties/name/maxLength",
        "/properties/code",
        "/properties/cost",
        "/properties/note",
    }
    sentences = " ".join(wrong for _, wrong in found)
    for word in ("a line feed", "NaN", "all of Unicode"):
        assert word in sentences


class Picky(Event, frozen=True):
    """Reads some of a field's types only."""

    EVENT = "thing.sold.v1"
    cost: Annotated[str, Meta(pattern=DIGITS)] | None = None
    note: str = ""


def test_a_reader_takes_every_type_that_is_promised() -> None:
    """Who reads text alone would refuse a legal number, and who has no null a legal null; a writer may keep to some."""
    found = {each.pointer: each.mend for each in reader_asks_too_much(Picky, SCHEMA)}
    assert found == {
        "/properties/cost": "let the Struct read number, string",
        "/properties/note": "let the Struct read null, string",
    }
    assert not {each.pointer for each in writer_differs(Picky, SCHEMA)} & found.keys()


class Closed(Event, frozen=True, forbid_unknown_fields=True):
    EVENT = "thing.sold.v1"
    kind: Literal["new", "old"]


def test_a_reader_takes_unknown_fields() -> None:
    """A Struct that forbids them would refuse what the contract allows."""
    (found,) = reader_asks_too_much(Closed, SCHEMA)
    assert (found.pointer, found.mend) == ("", "take forbid_unknown_fields out")


PAYLOAD = {
    "name": "n",
    "lines": [{"quantity": 1, "price": "1"}],
    "at": "2026-02-03T04:05:06Z",
    "kind": "new",
    "tags": {},
}
NAMES = st.text(max_size=7)
AMOUNTS = st.from_regex(r"\A[0-9]{0,3}\.?[0-9]{0,2}\n?\Z") | st.sampled_from(["NaN", "1E+2", "-5", "1.", ".5", "1.0"])
CODES = st.from_regex(r"\A[A-Za-zÀ-ÿ]{2,4}\n?\Z")
COSTS = AMOUNTS | st.integers(-2, 2**70) | st.floats(-1, 1e20, allow_nan=False) | st.booleans()


@given(NAMES, AMOUNTS, st.integers(-1, 2**31), CODES, COSTS)
@example("n", "1\n", 1, "EUR\n", "1.5\n")
@example("n", "1", 2**31 - 1, "EUR", 1.5)
def test_what_is_called_equal_takes_the_same_values(
    name: str, price: str, quantity: int, code: str, cost: float | str
) -> None:
    """Whatever the validator takes the Struct takes, and nothing else."""
    line = {"quantity": quantity, "price": price}
    payload = {**PAYLOAD, "name": name, "lines": [line], "code": code, "cost": cost}
    content = json.dumps(payload).encode()
    try:
        msgspec.json.decode(content, type=Sold)
        is_read = True
    except msgspec.ValidationError:
        is_read = False
    assert is_read == jsonschema_rs.is_valid(SCHEMA, json.loads(content))


@pytest.mark.parametrize(
    ("change", "pointer", "why"),
    [
        ({"name": ""}, "/name", "length >= 1"),
        ({"lines": []}, "/lines", "length >= 1"),
        ({"lines": [{"quantity": 1, "price": "1"}, {"quantity": 0, "price": "1"}]}, "/lines/1/quantity", ">= 1"),
        ({"lines": [{"quantity": 1}]}, "/lines/0", "missing required field `price`"),
        ({"tags": {"a": -1}}, "/tags", ">= 0"),
        ({"at": 7}, "/at", "got `int`"),
        ({"kind": "lost"}, "/kind", "Invalid enum value 'lost'"),
    ],
)
def test_a_refusal_has_a_json_pointer(change: dict[str, Any], pointer: str, why: str) -> None:
    """msgspec's path becomes a pointer; of a mapping's values it does not say which, so the mapping is named."""
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.json.decode(json.dumps({**PAYLOAD, **change}), type=Sold)
    place, reason = place_of(refused.value)
    assert place == pointer
    assert why in reason


def test_a_refusal_inside_a_mapping_names_the_mapping() -> None:
    """What lies below a value that nobody can point to is not named as if it lay elsewhere."""
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.json.decode(b'{"a": {"quantity": 0, "price": "1"}}', type=dict[str, Line])
    assert place_of(refused.value) == ("", "Expected `int` >= 1")


def test_a_refusal_of_the_whole_has_an_empty_pointer() -> None:
    """RFC 6901: the empty pointer is the whole document."""
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.json.decode(b"[]", type=Sold)
    assert place_of(refused.value) == ("", "Expected `object`, got `array`")
