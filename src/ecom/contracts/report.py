"""The checker's two reports, for machines (.json) and for readers (.md)."""

from __future__ import annotations

import json
from pathlib import Path

from ecom.contracts.check import Verdict


def write(verdict: Verdict, folder: Path) -> tuple[Path, Path]:
    """Write both reports, making the folder where it is absent."""
    folder.mkdir(parents=True, exist_ok=True)
    as_json, as_text = folder / "event-contracts-report.json", folder / "event-contracts-report.md"
    as_json.write_text(_json(verdict), encoding="utf-8")
    as_text.write_text(_markdown(verdict), encoding="utf-8")
    return as_json, as_text


def _json(verdict: Verdict) -> str:
    document = {
        "ok": not verdict.problems,
        "errors": [{"file": p.file, "error": p.wrong, "mend": p.mend} for p in verdict.problems],
        "events": {
            name: {**entry, "listeners": list(verdict.listeners.get(name, ()))}
            for name, entry in sorted(verdict.events.items())
        },
    }
    return json.dumps(document, indent=2) + "\n"


def _markdown(verdict: Verdict) -> str:
    lines = ["# Event contracts", "", f"{len(verdict.events)} events, {len(verdict.problems)} errors.", ""]
    lines += ["| event | producer | consumers | handled by |", "| --- | --- | --- | --- |"]
    for name, entry in sorted(verdict.events.items()):
        consumers, listeners = ", ".join(entry["consumers"]), ", ".join(verdict.listeners.get(name, ()))
        lines.append(f"| {name} | {entry['producer']} | {consumers or 'none'} | {listeners or 'none'} |")
    if verdict.problems:
        lines += ["", "## Errors", "", *(f"- {problem}" for problem in verdict.problems)]
    return "\n".join(lines) + "\n"
