"""Whole snapshots compared: the registry's changes, where a change is, whom it breaks, and how long it takes."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
import pytest

from dovecote.contracts.compatibility import Change, Verdict, compare
from dovecote.contracts.snapshot import Snapshot
from dovecote.events import Event
from ecom.contracts import CONTRACTS

SHOP = Snapshot.of_folder(CONTRACTS)
ENTRY = {"schema_version": "v1", "producer": "order-service", "consumers": ["stock-service"], "schema_file": "x"}
PLACED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "orderId": {"type": "string", "minLength": 1, "maxLength": 50},
        "note": {"type": "string"},
        "total": {"type": "integer"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
    },
    "required": ["orderId", "lines"],
    "$defs": {
        "line": {
            "type": "object",
            "properties": {"sku": {"type": "string", "maxLength": 20}, "gift": {"type": "boolean"}},
            "required": ["sku"],
        }
    },
}


class Line(msgspec.Struct, rename="camel"):
    """What the stock service reads of a line."""

    sku: str


class StockReads(Event, frozen=True):
    """What the stock service reads: it insists on the order's id and its lines."""

    EVENT: ClassVar[str] = "order.placed.v1"

    order_id: str
    lines: tuple[Line, ...]


class MailReads(Event, frozen=True):
    """What the mail service reads: it likes a note, and can do without."""

    EVENT: ClassVar[str] = "order.placed.v1"

    order_id: str
    note: str | None = None


READERS = {"stock-service": (StockReads,), "mail-service": (MailReads,)}


def snapshot(schema: Any = None, name: str = "order.placed.v1", **entry: Any) -> Snapshot:
    """A registry of one event."""
    return Snapshot({name: {**ENTRY, **entry}}, {name: PLACED if schema is None else schema})


def changed(edit: Callable[[dict[str, Any]], object]) -> tuple[Change, ...]:
    """The changes that one edit of the schema makes."""
    schema = copy.deepcopy(PLACED)
    edit(schema)
    return compare(snapshot(), snapshot(schema), READERS)


def only(changes: tuple[Change, ...]) -> Change:
    """The one change there is."""
    assert len(changes) == 1, changes
    return changes[0]


def test_nothing_changed_is_no_change() -> None:
    """The same contracts twice are no change, whatever their descriptions say."""
    assert compare(SHOP, SHOP, READERS) == ()
    assert changed(lambda d: d.update(description="An order.")) == ()


def test_a_field_that_a_reader_needs_names_the_reader() -> None:
    """The service whose Struct insists on the field is named, with an event that lacks it; the other goes without."""
    change = only(changed(lambda d: (d["properties"].pop("lines"), d["required"].remove("lines"))))
    assert (change.verdict, change.pointer) == (Verdict.BREAKS_READERS, "/properties/lines")
    assert (change.breaks, change.loses, change.unread) == (("stock-service",), (), False)
    assert json.loads(change.witness or "") == {"orderId": "a"}
    assert "register order.placed.v2 beside order.placed.v1" in change.mend


def test_an_optional_field_that_goes_is_lost_to_its_reader() -> None:
    """By schema it is compatible; who reads it is named all the same, and nobody is said to break."""
    change = only(changed(lambda d: d["properties"].pop("note")))
    assert (change.verdict, change.breaks, change.loses) == (Verdict.COMPATIBLE, (), ("mail-service",))
    assert change.what.endswith("; lost to mail-service")
    assert (change.witness, change.mend) == (None, "")


def test_a_field_that_nobody_reads_is_called_that() -> None:
    """A break of a field that no Struct looks at is still one of the contract, and says that nobody known is hurt."""
    change = only(changed(lambda d: d["properties"]["total"].update(type="number")))
    assert (change.verdict, change.unread, change.breaks) == (Verdict.BREAKS_READERS, True, ())


def test_a_change_in_a_definition_is_told_where_it_is_written() -> None:
    """The pointer leads into $defs, the sentence says the field, and the Struct that reads it is asked."""
    change = only(changed(lambda d: d["$defs"]["line"]["properties"]["sku"].update(type=["string", "null"])))
    assert change.pointer == "/$defs/line/properties/sku/type"
    assert change.what.startswith("lines[].sku was string and is ")
    assert (change.breaks, change.reads) == (("stock-service",), ("stock-service",))


def test_a_reader_breaks_by_its_own_edit_only() -> None:
    """Of two edits at once, each names only those whom it breaks itself."""
    by_pointer = {
        change.pointer: change
        for change in changed(
            lambda d: (d["properties"]["note"].update(type=["string", "integer"]), d["required"].remove("lines"))
        )
    }
    assert by_pointer["/properties/note/type"].breaks == ("mail-service",)
    assert by_pointer["/properties/lines"].breaks == ("stock-service",)


def test_an_event_that_goes_names_everyone_who_hears_it() -> None:
    """Registered consumers and live readers both wait for it in vain."""
    change = only(compare(snapshot(), Snapshot({}, {}), READERS))
    assert (change.verdict, change.breaks) == (Verdict.BREAKS_BOTH, ("mail-service", "stock-service"))


def test_a_renamed_event_is_called_renamed() -> None:
    """An event that goes while one of the same schema comes was renamed: one change, which says to whom it matters."""
    renamed = snapshot({**PLACED, "title": "order.made.v1"}, name="order.made.v1")
    change = only(compare(snapshot({**PLACED, "title": "order.placed.v1"}), renamed, READERS))
    assert change.what.startswith("renamed to order.made.v1")
    assert (change.verdict, change.breaks) == (Verdict.BREAKS_BOTH, ("mail-service", "stock-service"))
    assert "publish order.made.v1 beside order.placed.v1" in change.mend


def test_a_new_event_breaks_nobody() -> None:
    """It is said, and it is compatible."""
    change = only(compare(Snapshot({}, {}), snapshot(), READERS))
    assert (change.event, change.verdict) == ("order.placed.v1", Verdict.COMPATIBLE)


@pytest.mark.parametrize(
    ("entry", "sentence", "verdict"),
    [
        ({"producer": "basket-service"}, "the producer was order-service", Verdict.BREAKS_WRITERS),
        ({"schema_version": "v2"}, "schema_version was v1 and is v2", Verdict.BREAKS_BOTH),
        ({"consumers": []}, "stock-service hears it no more; its code still does", Verdict.COMPATIBLE),
        ({"consumers": ["stock-service", "x-service"]}, "x-service hears it from now on", Verdict.COMPATIBLE),
    ],
)
def test_an_entry_of_the_registry_is_compared(entry: dict[str, Any], sentence: str, verdict: Verdict) -> None:
    """Producer, version and consumers, each with its own verdict."""
    change = only(compare(snapshot(), snapshot(**entry), READERS))
    assert (change.what.startswith(sentence), change.verdict) == (True, verdict)


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        ({"type": "text"}, "is not a JSON Schema of draft 2020-12"),
        ({"$ref": "#/$defs/none"}, "names nothing in the file"),
        ({"$ref": "other.json"}, "leaves the file"),
        ({"$ref": "#nobody"}, "names no $anchor"),
        ("text", "is not a JSON Schema"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, "in a circle"),
    ],
)
def test_a_broken_schema_is_a_change_and_no_crash(schema: Any, sentence: str) -> None:
    """What cannot be compared is breaking, and says why; the other events are compared all the same."""
    for old, new in ((PLACED, schema), (schema, PLACED)):
        change = only(compare(snapshot(old), snapshot(new), READERS))
        assert (change.verdict, sentence in change.what) == (Verdict.BREAKS_BOTH, True), change.what


def test_a_missing_schema_is_breaking() -> None:
    """An event whose file is gone cannot be compared."""
    change = only(compare(snapshot(), Snapshot(snapshot().events, {}), READERS))
    assert (change.verdict, "the new schema is missing" in change.what) == (Verdict.BREAKS_BOTH, True)


def test_the_shops_events_are_compared_within_a_second() -> None:
    """All fifteen, each with a field narrowed and one added, take less than a second of processor time."""
    schemas = copy.deepcopy(dict(SHOP.schemas))
    for schema in schemas.values():
        first = next(iter(schema["properties"].values()))
        first["maxLength"] = 7
        schema["properties"]["extra"] = {"type": "string"}
    began = time.process_time()
    changes = compare(SHOP, Snapshot(SHOP.events, schemas), {})
    assert len(changes) >= 2 * len(schemas)
    assert time.process_time() - began < 1
