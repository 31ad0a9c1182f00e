"""The customers' diary: what it holds is what the audit's journal reads."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from dovecote import ids
from ecom.audit import journal
from ecom.audit.journal import Answered, Asked
from ecom.demo.diary import FILE, KEY, TRACE, Diary


def test_calls_and_answers_are_a_line_each(tmp_path: Path) -> None:
    """A placing with its key and trace, an answer, a look; a body that is no JSON on one line is left out."""
    path, trace = tmp_path / "new" / FILE, "a" * 32
    with contextlib.closing(Diary(path, "run")) as diary:
        headers = {KEY: "k", TRACE: ids.traceparent(trace)}
        assert diary.asked("POST", "/api/orders", headers=headers, data=b'{"userId":7}') == 1
        diary.answered(1, 503, b"<html>busy</html>")
        assert diary.asked("GET", "/api/orders/o", params={}) == 2
        diary.answered(2, 200, b'{"id":"o"}')
    assert list(journal.read(path)) == [
        Asked("run", 1, "POST", "/api/orders", "k", trace, msgspec.Raw(b'{"userId":7}')),
        Answered("run", 1, 503),
        Asked("run", 2, "GET", "/api/orders/o"),
        Answered("run", 2, 200, msgspec.Raw(b'{"id":"o"}')),
    ]


def test_a_new_run_begins_a_new_diary(tmp_path: Path) -> None:
    """The journal of another run says nothing about this one."""
    for run in ("first", "second"):
        with contextlib.closing(Diary(tmp_path / FILE, run)) as diary:
            diary.asked("GET", "/")
    assert [line.client for line in journal.read(tmp_path / FILE)] == ["second"]
