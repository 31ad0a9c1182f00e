"""The journal's file: what is written is read, and what is no journal is said in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecom.audit import journal
from ecom.audit.journal import Answered, Asked, JournalError
from tests.audit.plants.clients import PLACED, look


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Calls and answers come back as they were; a torn last line was never finished."""
    lines = [*PLACED, *look(2, "CONFIRMED"), Asked("ann", 3, "GET", "/"), Answered("ann", 3, 404)]
    path = tmp_path / "journal.ndjson"
    path.write_bytes(b"".join(journal.encode(line) + b"\n" for line in lines) + b'{"line": "asked", "cli')
    assert list(journal.read(path)) == lines


def test_the_format_is_what_the_docstring_says() -> None:
    """One object a line, its kind first, nothing that was not there."""
    assert journal.encode(Asked("ann", 7, "POST", "/api/orders", key="k1")) == (
        b'{"line":"asked","client":"ann","call":7,"method":"POST","path":"/api/orders","key":"k1"}'
    )
    assert journal.encode(Answered("ann", 7, 503)) == b'{"line":"answered","client":"ann","call":7,"status":503}'


@pytest.mark.parametrize(
    "text", ['{"line": "asked"}', '{"line": "said"}', "nonsense", '{"line": "answered", "call": "x"}']
)
def test_a_damaged_line_is_named(tmp_path: Path, text: str) -> None:
    """The sentence names the file and the line."""
    path = tmp_path / "journal.ndjson"
    path.write_bytes(journal.encode(PLACED[0]) + b"\n" + text.encode() + b"\n")
    with pytest.raises(JournalError, match=r"Line 2 of journal\.ndjson is no line of a journal"):
        list(journal.read(path))


def test_a_journal_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The sentence says which file, and why it cannot be read."""
    with pytest.raises(JournalError, match=r"none\.ndjson cannot be read: No such file"):
        list(journal.read(tmp_path / "none.ndjson"))
