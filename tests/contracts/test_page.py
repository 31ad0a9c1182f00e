"""The page of all events: true to registry and code, every link goes somewhere, and any schema can be told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from dovecote.contracts.code import Code
from dovecote.contracts.fields import Field, fields
from dovecote.contracts.history import neighbours
from dovecote.contracts.page import page
from dovecote.contracts.sheet import Facts
from dovecote.contracts.snapshot import Snapshot
from dovecote.events import Event
from ecom.contracts.documents import DOCS, documents, facts


@pytest.fixture(scope="module")
def known() -> Facts:
    """What is known of the shop's events."""
    return facts()


def test_the_documents_are_fresh(known: Facts) -> None:
    """What stands in docs/ is what the contracts and the live handlers say today: ./ecom contracts documents."""
    for name, text in documents(known).items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, f"docs/{name} is stale: ./ecom contracts documents"


def test_every_event_has_a_place_and_every_link_goes_somewhere(known: Facts) -> None:
    """Each event has one anchor and a line in the index; links within the page and to files of the repository hold."""
    text = documents(known)["events.md"]
    anchors = re.findall(r'<a id="([^"]+)">', text)
    assert anchors == list(dict.fromkeys(anchors))
    assert set(anchors) == set(known.contracts.events)
    targets = set(re.findall(r"\]\(([^)]+)\)", text))
    inner = {target[1:] for target in targets if target.startswith("#")}
    assert inner == {*anchors, "index"}
    outer = {target for target in targets if not target.startswith("#")}
    assert len(outer) > 2 * len(anchors)
    assert [target for target in outer if not (DOCS / target).is_file()] == []


def test_every_field_means_something(known: Facts) -> None:
    """No field of a contract is without a description, so that the page has no empty meaning."""
    dumb = [f"{sheet.event} {field.path}" for sheet in known.sheets() for field in sheet.fields if not field.meaning]
    assert dumb == []


def test_the_key_is_a_required_text(known: Facts) -> None:
    """The field that the registry calls the Kafka key is one that every payload has."""
    for sheet in known.sheets():
        key = next(field for field in sheet.fields if field.path == sheet.key)
        assert key.required, sheet.event
        assert key.type in {"text", "UUID"}, sheet.event


def test_the_reader_of_a_field_is_who_decodes_it(known: Facts) -> None:
    """Inventory handles an order through its lines' sku and quantity, and no one reads what the customer typed last."""
    sheet = known.sheet("order.created.v1")
    assert "inventory-service" in sheet.readers_of("items[].sku")
    assert "inventory-service" not in sheet.readers_of("userId")
    assert sheet.readers_of("status") == ()


@pytest.mark.parametrize(
    ("node", "kind", "bounds"),
    [
        ({"type": "string"}, "text", ""),
        ({"type": "string", "minLength": 3, "maxLength": 3}, "text", "3 characters"),
        ({"type": "string", "minLength": 1}, "text", "at least 1 character"),
        ({"type": "string", "format": "date-time"}, "instant (RFC 3339)", ""),
        ({"type": "string", "format": "email"}, "text (email)", ""),
        ({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"}, "decimal number, as text", ""),
        ({"type": "string", "pattern": r"^-?\d{1,9}(\.\d+)?$"}, "decimal number, as text", ""),
        ({"type": "string", "pattern": "[0-9]+"}, "text", "matches `[0-9]+`"),
        ({"type": ["string", "null"]}, "text or null", ""),
        ({"type": "integer", "minimum": 0}, "whole number", "≥ 0"),
        ({"type": "integer", "minimum": 1, "maximum": 9}, "whole number", "1 to 9"),
        ({"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}, "whole number", "64 bits, signed"),
        ({"type": "number", "exclusiveMinimum": 0, "multipleOf": 0.5}, "number", "> 0; a multiple of 0.5"),
        ({"const": "PAID"}, "text", "always `PAID`"),
        ({"enum": ["A", "B", None]}, "text or null", "one of `A`, `B`, `null`"),
        ({"type": "array", "items": {"type": "string", "maxLength": 5}}, "list of text", "each at most 5 characters"),
        ({"type": "array", "minItems": 1, "uniqueItems": True}, "list", "at least 1 entry; no entry twice"),
        ({"anyOf": [{"type": "string"}, {"type": "integer", "maximum": 5}]}, "text or whole number", "≤ 5"),
        ({"$ref": "#/$defs/word", "maxLength": 9}, "text", "at most 9 characters"),
        ({"type": "string", "not": {"const": "x"}}, "text", "more rules in the schema"),
        ({"$ref": "#/$defs/endless"}, "list of list of list of list of list of anything", ""),
        ({"$ref": "#/$defs/nowhere"}, "anything", ""),
        (True, None, None),
    ],
)
def test_a_schema_is_told_in_plain_words(node: Any, kind: str | None, bounds: str | None) -> None:
    """Each keyword has words, by what a pattern accepts where it is one of numbers; a type without end stops."""
    defs = {"word": {"type": "string"}, "endless": {"type": "array", "items": {"$ref": "#/$defs/endless"}}}
    told = {field.path: field for field in fields({"properties": {"x": node}, "$defs": defs})}
    assert told.get("x") == (Field("x", kind, False, bounds or "", "") if kind else None)


def test_nested_fields_have_paths() -> None:
    """Objects, lists, tuples and alternatives are walked; required is meant within the object; a circle ends."""
    schema = {
        "properties": {
            "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
            "pair": {"prefixItems": [{"properties": {"a": {}}}]},
            "either": {"oneOf": [{"properties": {"b": {}}, "required": ["b"]}, {"properties": {"c": {}}}]},
        },
        "allOf": [{"required": ["lines"]}],
        "$defs": {"line": {"properties": {"sku": {}, "parts": {"$ref": "#/$defs/line"}}, "required": ["sku"]}},
    }
    told = [(field.path, field.required) for field in fields(schema)]
    assert told == [
        ("lines", True),
        ("lines[].sku", True),
        ("lines[].parts", False),
        ("pair", False),
        ("pair[0].a", False),
        ("either", False),
        ("either.b", True),
        ("either.c", False),
    ]


class Heard(Event, frozen=True):
    """A payload of another project."""

    EVENT: ClassVar[str] = "cargo.loaded.v2"

    ship: str


def schema(**properties: Any) -> Mapping[str, Any]:
    """A payload's schema; its first field is required."""
    return {"type": "object", "properties": properties, "required": list(properties)[:1]}


def entry(*consumers: str) -> Mapping[str, Any]:
    """An entry of a registry."""
    return {"producer": "port-service", "consumers": list(consumers), "schema_file": "schemas/x.json"}


OLD = Snapshot({"cargo.loaded.v1": entry()}, {"cargo.loaded.v1": schema(ship={"type": "string"})})
BOTH = Snapshot(
    {"cargo.loaded.v1": entry("crane-service"), "cargo.loaded.v2": entry("customs-service")},
    {
        "cargo.loaded.v1": schema(ship={"type": "string"}, berth={"type": "string"}),
        "cargo.loaded.v2": schema(ship={"type": "string", "pattern": "^(a|b)$"}),
    },
)
PORT = Facts(BOTH, Code(readers={"radio-service": (Heard,)}), releases=(("0.1.0", OLD), ("0.2.0", OLD)))


def test_history_is_told_from_the_releases() -> None:
    """A release without a change is not told, one with a change says which; each version points to the next."""
    first, second = PORT.sheets()
    assert [step.version for step in first.history] == ["0.1.0", "not yet released"]
    assert any("berth" in what or "/properties" in what for what in first.history[1].what)
    assert (first.older, first.newer) == (None, "cargo.loaded.v2")
    assert (second.older, second.newer) == ("cargo.loaded.v1", None)
    assert PORT.version == "0.2.0+unreleased"
    assert second.past == "not yet released"
    unchanged = replace(PORT, contracts=OLD)
    assert unchanged.version == "0.2.0"
    assert unchanged.sheet("cargo.loaded.v1").past == "since 0.1.0, unchanged"
    text = page(PORT, title="Port", about="", folder="x")
    assert "**followed by [cargo.loaded.v2](#cargo.loaded.v2)**" in text
    assert "**History:** follows [cargo.loaded.v1](#cargo.loaded.v1); not yet released" in text


def test_a_reworded_contract_is_no_other_change() -> None:
    """What changes only in words is told as that."""
    reworded = Snapshot(OLD.events, {"cargo.loaded.v1": {**OLD.schemas["cargo.loaded.v1"], "description": "New."}})
    (sheet,) = Facts(reworded, releases=(("0.1.0", OLD),)).sheets()
    assert [str(step) for step in sheet.history] == ["since 0.1.0", "not yet released: its description"]


def test_who_is_registered_and_who_handles_are_told_apart() -> None:
    """A registered service without a handler, and a handler without registration, both stand there as such."""
    text = page(PORT, title="Port", about="", folder="x")
    assert "customs-service (registered, no handler here), radio-service (not registered)" in text
    assert "**Examples:** none yet" in text


def test_a_bar_in_a_pattern_does_not_break_its_row() -> None:
    """Every row of a table has as many cells as its heading."""
    text = page(PORT, title="Port", about="", folder="x")
    assert r"matches `^(a\|b)$`" in text
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in block.splitlines()}) == 1, block


@pytest.mark.parametrize(
    ("event", "expected"),
    [("a.b.v2", ("a.b.v1", "a.b.v10")), ("a.b.v10", ("a.b.v2", None)), ("a.c.v1", (None, None)), ("odd", (None, None))],
)
def test_versions_are_counted_not_spelled(event: str, expected: tuple[str | None, str | None]) -> None:
    """v10 comes after v2; other events are no kin."""
    assert neighbours(event, ["a.b.v1", "a.b.v2", "a.b.v10", "a.bb.v3", "odd"]) == expected
