"""The table of failure modes is whole and true: each has its row, and each test that a row names exists."""

from __future__ import annotations

import re

import pytest

from tests.house.repository import ROOT

PAGE = ROOT / "docs" / "failure-modes.md"
TEXT = PAGE.read_text(encoding="utf-8")
PROMISE = (
    "at-least-once delivery, at most one effect per consumer; no acknowledged order, no money and no stock is lost "
    "under process crashes, pauses, partitions and full disks as tested; not tested: simultaneous power loss of all "
    "replicas, disk corruption, hostile clients of the broker."
)
# All there are; 16 and 19 of the outbox were never given out.
IDS = [
    *(f"O{number}" for number in range(1, 21) if number not in (16, 19)),
    *(f"C{number}" for number in range(1, 20)),
    *(f"G{number}" for number in range(1, 26)),
    *(f"F{number}" for number in range(1, 14)),
]
ROW = re.compile(r"^\| (?P<id>[OCGF]\d+) \| (?P<does>[^|]+) \| (?P<proof>[^|]+) \|$", re.MULTILINE)
ROWS = {row["id"]: row for row in ROW.finditer(TEXT)}
WORD = re.compile(r"`(?P<file>tests/[\w/]+(?:\.py)?)(?:::(?P<test>test_\w+))?`|later: chaos")


def test_the_promise_stands_word_for_word() -> None:
    """What is promised, and under which faults, is said on the page as it was agreed."""
    said = " ".join(line.removeprefix("> ") for line in TEXT.splitlines() if line.startswith("> "))
    assert said == PROMISE


def test_every_failure_mode_has_one_row() -> None:
    """No row is missing, double, or of a failure that nobody knows."""
    assert sorted(ROWS) == sorted(IDS)
    assert len(ROW.findall(TEXT)) == len(IDS)
    assert TEXT.count("\n| ") == len(IDS) + TEXT.count("\n| id |")


@pytest.mark.parametrize("failure", IDS)
def test_a_row_says_what_we_do_and_names_tests_that_exist(failure: str) -> None:
    """One sentence, and a proof: tests that are there, the simulation, or a plain "later"."""
    row = ROWS[failure]
    assert row["does"].endswith(".")
    assert WORD.sub("", row["proof"]).strip() == "", "nothing but tests, the simulation and `later: chaos`"
    for proof in WORD.finditer(row["proof"]):
        if proof["file"] and proof["file"].endswith(".py"):
            source = (ROOT / proof["file"]).read_text(encoding="utf-8")
            assert proof["test"] is None or re.search(rf"^(async )?def {proof['test']}\(", source, re.MULTILINE)


def test_what_is_checked_now_has_a_test() -> None:
    """A failure that the tests of one process can show is not left to later ones."""
    later = [failure for failure in IDS if "::" not in ROWS[failure]["proof"]]
    assert later == ["F8", "F11"], "these two need several machines, or what stands for them"
