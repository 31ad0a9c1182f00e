"""Counts misses and false alarms of the compatibility checker, and says them at the end of the run."""

from __future__ import annotations

from collections import Counter

import pytest

TALLY: pytest.StashKey[Counter[str]] = pytest.StashKey()


@pytest.fixture(scope="session")
def tally(request: pytest.FixtureRequest) -> Counter[str]:
    """What was judged in this run, by the outcome's name."""
    return request.config.stash.setdefault(TALLY, Counter())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line that says how good the checker is."""
    counted = config.stash.get(TALLY, None)
    if counted:
        said = ", ".join(
            f"{counted[name]} {name}"
            for name in ("hand-written edits", "generated edits", "misses", "false alarms", "answered with caution")
        )
        terminalreporter.write_line(f"Compatibility of contracts: {said}.")
