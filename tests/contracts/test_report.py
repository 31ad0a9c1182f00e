"""The reports of the check: one JSON object, a Markdown page for a pull request, and lines for a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dovecote.contracts.compatibility import Change, Verdict
from dovecote.contracts.problem import Problem
from dovecote.contracts.report import HEADINGS, Report, Ruling, as_json, as_markdown, as_text, write

EVENTS = {
    "song.sung.v1": {
        "schema_version": "v1",
        "producer": "singer-service",
        "consumers": ["choir-service", "crowd-service"],
        "schema_file": "schemas/song.sung.v1.json",
    },
    "song.ended.v1": {
        "schema_version": "v1",
        "producer": "singer-service",
        "consumers": [],
        "schema_file": "schemas/song.ended.v1.json",
    },
}
GONE = Change(
    "song.sung.v1",
    "/properties/verse",
    "the field was removed",
    Verdict.BREAKS_READERS,
    breaks=("choir-service",),
    witness='{"title":"Ännchen | a"}',
    mend="register song.sung.v2 beside it",
    loses=("crowd-service",),
)
UNREAD = Change("song.ended.v1", "/properties/at", "maximum was added", Verdict.BREAKS_WRITERS, unread=True)
NEW = Change("song.sung.v1", "/properties/key", "an optional field was added", Verdict.COMPATIBLE)
DROPPED = Change("song.begun.v1", "", "the event is gone", Verdict.BREAKS_BOTH, breaks=("crowd-service",))


@pytest.fixture
def report() -> Report:
    """One of everything: an error, a change that stops, one that passes though it breaks, one that breaks nobody."""
    return Report(
        events=EVENTS,
        listeners={"song.sung.v1": ("choir-service",)},
        problems=(Problem("contracts/event-contracts.json", "/events/x", "it is wrong", "mend it"),),
        rulings=(
            Ruling(GONE, stops=True, why=GONE.mend, consumers=("choir-service", "crowd-service")),
            Ruling(UNREAD, stops=False, why="no consumer reads it, and that was allowed"),
            Ruling(NEW, stops=False, why=""),
            Ruling(DROPPED, stops=True, why="let it move first"),
        ),
        against="release 0.1.0",
    )


def test_machines_get_one_object(report: Report) -> None:
    """Errors with file, pointer and mend; changes with verdict, who breaks and whether they stop; all events."""
    document = json.loads(as_json(report))
    assert (document["ok"], document["against"]) == (False, "release 0.1.0")
    assert document["errors"] == [
        {"file": "contracts/event-contracts.json", "pointer": "/events/x", "error": "it is wrong", "mend": "mend it"}
    ]
    assert document["changes"][0] == {
        "event": "song.sung.v1",
        "pointer": "/properties/verse",
        "what": "the field was removed",
        "verdict": "breaks readers",
        "breaks": ["choir-service"],
        "loses": ["crowd-service"],
        "consumers": ["choir-service", "crowd-service"],
        "unread": False,
        "witness": '{"title":"Ännchen | a"}',
        "mend": "register song.sung.v2 beside it",
        "stops": True,
        "why": "register song.sung.v2 beside it",
    }
    assert document["events"]["song.sung.v1"] == {**EVENTS["song.sung.v1"], "listeners": ["choir-service"]}


def test_a_person_reads_who_breaks_and_the_mend(report: Report) -> None:
    """Lines for a terminal: each change with its verdict, who breaks, the smallest event and what to do."""
    assert as_text(report).splitlines() == [
        "error contracts/event-contracts.json#/events/x: it is wrong. Mend: mend it.",
        "STOPPED song.sung.v1#/properties/verse: the field was removed (breaks readers)",
        "    goes on without it: crowd-service",
        "    breaks: choir-service",
        '    smallest event that shows it: {"title":"Ännchen | a"}',
        "    mend: register song.sung.v2 beside it",
        "passes song.ended.v1#/properties/at: maximum was added (breaks writers)",
        "    breaks: nobody here: no consumer's Struct reads it",
        "    passes: no consumer reads it, and that was allowed",
        "passes song.sung.v1#/properties/key: an optional field was added (compatible)",
        "STOPPED song.begun.v1: the event is gone (breaks readers and writers)",
        "    breaks: crowd-service",
        "    mend: let it move first",
        "2 event contracts, 1 error, 4 changes since release 0.1.0, 2 may not pass",
    ]


def test_a_pull_request_gets_a_page(report: Report) -> None:
    """A table of every event, then errors and changes; a bar in a cell does not end it."""
    lines = as_markdown(report).splitlines()
    assert lines[2].startswith("**Stopped**: 2 event contracts")
    assert "| song.ended.v1 | singer-service | none | none | breaks writers |" in lines
    assert "- **stopped** song.sung.v1#/properties/verse: the field was removed (breaks readers)" in lines
    assert '  - smallest event that shows it: `{"title":"Ännchen | a"}`' in lines
    (row,) = [line for line in lines if line.startswith("| song.sung.v1")]
    assert row.endswith("| choir-service | breaks readers; compatible |")


def test_the_table_has_a_row_for_what_went(report: Report) -> None:
    """Events in the order of their names, those that are gone last."""
    rows = list(report.rows())
    assert [row[0] for row in rows] == ["song.ended.v1", "song.sung.v1", "song.begun.v1"]
    assert all(len(row) == len(HEADINGS) for row in rows)


@pytest.mark.parametrize(
    ("ruling", "who"),
    [
        (Ruling(NEW, stops=False, why=""), "nobody"),
        (Ruling(UNREAD, stops=True, why="x"), "nobody here: no consumer's Struct reads it"),
        (Ruling(GONE, stops=True, why="x"), "choir-service"),
        (Ruling(Change("a.b.v1", "", "x", Verdict.BREAKS_BOTH), True, "x", ("d-service",)), "perhaps d-service"),
        (Ruling(Change("a.b.v1", "", "x", Verdict.BREAKS_BOTH), True, "x"), "nobody who is registered"),
    ],
)
def test_who_breaks_is_said_in_words(ruling: Ruling, who: str) -> None:
    """Where code is not here to be asked, its service may break."""
    assert ruling.who == who


def test_both_reports_are_written(report: Report, tmp_path: Path) -> None:
    """The names are those of the wire contract; a green report says so."""
    machine, reader = write(report, tmp_path / "reports")
    assert (machine.name, reader.name) == ("event-contracts-report.json", "event-contracts-report.md")
    assert machine.read_text(encoding="utf-8") == as_json(report)
    assert reader.read_text(encoding="utf-8") == as_markdown(report)
    green = Report(EVENTS, {}, (), (), "")
    assert green.ok
    assert green.summary == "2 event contracts, 0 errors, nothing released to compare with"
    assert "Passed: 2 event contracts" in as_markdown(green)
