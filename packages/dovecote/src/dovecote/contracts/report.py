"""What a check found, told three ways: JSON for machines, Markdown for a pull request, plain lines for a terminal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dovecote.contracts.compatibility import Change
from dovecote.contracts.problem import Problem

NAME = "event-contracts-report"


@dataclass(frozen=True, slots=True)
class Ruling:
    """A change, whether it stops at the gate, and why; of the registered ``consumers`` some may break."""

    change: Change
    stops: bool
    why: str
    consumers: tuple[str, ...] = ()

    @property
    def who(self) -> str:
        """Who breaks, in words."""
        change = self.change
        if not change.verdict.breaking:
            return "nobody"
        if change.breaks:
            return ", ".join(change.breaks)
        if change.unread:
            return "nobody here: no consumer's Struct reads it"
        return f"perhaps {', '.join(self.consumers)}" if self.consumers else "nobody who is registered"


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found. ``against`` names what the contracts were compared with, empty where with nothing."""

    events: Mapping[str, Any]
    listeners: Mapping[str, tuple[str, ...]]
    problems: tuple[Problem, ...]
    rulings: tuple[Ruling, ...]
    against: str

    @property
    def stopped(self) -> tuple[Ruling, ...]:
        """The changes that may not pass."""
        return tuple(ruling for ruling in self.rulings if ruling.stops)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong and nothing may not pass."""
        return not self.problems and not self.stopped

    @property
    def summary(self) -> str:
        """One line that says how it stands."""
        found = f"{_count(self.events, 'event contract')}, {_count(self.problems, 'error')}"
        if not self.against:
            return f"{found}, nothing released to compare with"
        stopped = f", {len(self.stopped)} may not pass" if self.stopped else ""
        return f"{found}, {_count(self.rulings, 'change')} since {self.against}{stopped}"

    def rows(self) -> Iterator[tuple[str, str, str, str, str]]:
        """A table's rows: event, producer, consumers, who handles it here, what changed; those that went come last."""
        changed = Counter((r.change.event, r.change.verdict.value) for r in self.rulings)
        gone: dict[str, Any] = {event: {} for event, _ in changed if event not in self.events}
        for name, entry in {**dict(sorted(self.events.items())), **gone}.items():
            verdicts = [
                verdict if n == 1 else f"{n} times {verdict}"
                for (event, verdict), n in changed.items()
                if event == name
            ]
            consumers, listeners = entry.get("consumers", ()), self.listeners.get(name, ())
            cells = (", ".join(consumers), ", ".join(listeners), "; ".join(verdicts))
            yield name, entry.get("producer", ""), cells[0] or "none", cells[1] or "none", cells[2]


HEADINGS = ("event", "producer", "consumers", "handled by", "changes")


def as_json(report: Report) -> str:
    """One JSON object: ok, errors, changes, events."""
    document = {
        "ok": report.ok,
        "against": report.against or None,
        "errors": [{"file": p.file, "pointer": p.pointer, "error": p.wrong, "mend": p.mend} for p in report.problems],
        "changes": [_change(ruling) for ruling in report.rulings],
        "events": {
            name: {**entry, "listeners": list(report.listeners.get(name, ()))}
            for name, entry in sorted(report.events.items())
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def as_markdown(report: Report) -> str:
    """The report as a comment on a pull request."""
    lines = ["# Event contracts", "", f"{'Passed' if report.ok else '**Stopped**'}: {report.summary}.", ""]
    lines += [_row(HEADINGS), _row(["---"] * len(HEADINGS)), *map(_row, report.rows())]
    if report.problems:
        lines += ["", "## Errors", "", *(f"- {problem}" for problem in report.problems)]
    if report.rulings:
        lines += ["", f"## Changes since {report.against}", ""]
        for ruling in report.rulings:
            lines += [f"- {'**stopped** ' if ruling.stops else ''}{_heading(ruling)}", *_details(ruling, "  - ", "`")]
    return "\n".join(lines) + "\n"


def as_text(report: Report) -> str:
    """The report without its table, as lines: errors, then changes, then the summary."""
    lines = [f"error {problem}" for problem in report.problems]
    for ruling in report.rulings:
        lines += [f"{'STOPPED' if ruling.stops else 'passes'} {_heading(ruling)}", *_details(ruling, "    ", "")]
    return "\n".join([*lines, report.summary])


def write(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write the JSON and the Markdown report, making the folder where it is absent."""
    folder.mkdir(parents=True, exist_ok=True)
    machine, reader = folder / f"{NAME}.json", folder / f"{NAME}.md"
    machine.write_text(as_json(report), encoding="utf-8")
    reader.write_text(as_markdown(report), encoding="utf-8")
    return machine, reader


def _change(ruling: Ruling) -> dict[str, Any]:
    change = ruling.change
    return {
        "event": change.event,
        "pointer": change.pointer,
        "what": change.what,
        "verdict": change.verdict.value,
        "breaks": list(change.breaks),
        "loses": list(change.loses),
        "consumers": list(ruling.consumers),
        "unread": change.unread,
        "witness": change.witness,
        "mend": change.mend,
        "stops": ruling.stops,
        "why": ruling.why,
    }


def _heading(ruling: Ruling) -> str:
    change = ruling.change
    place = f"{change.event}#{change.pointer}" if change.pointer else change.event
    return f"{place}: {change.what} ({change.verdict.value})"


def _details(ruling: Ruling, indent: str, quote: str) -> Iterator[str]:
    """Who breaks, by which event, and the mend."""
    change = ruling.change
    if change.loses:
        yield f"{indent}goes on without it: {', '.join(change.loses)}"
    if not change.verdict.breaking:
        return
    yield f"{indent}breaks: {ruling.who}"
    if change.witness is not None:
        yield f"{indent}smallest event that shows it: {quote}{change.witness}{quote}"
    if ruling.why and not ruling.stops:
        yield f"{indent}passes: {ruling.why}"
    elif ruling.stops:
        yield f"{indent}mend: {ruling.why}"


def _count(things: Sized, what: str) -> str:
    return f"{len(things)} {what}{'' if len(things) == 1 else 's'}"


def _row(cells: Any) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
