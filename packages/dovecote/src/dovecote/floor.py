"""Where the relay's scan may start: a hint, never a cursor."""

from __future__ import annotations

from collections import deque

SWEEP_SECONDS = 2.0
# A sweep that has far to go (somebody writes for an hour) comes so much later than it took.
SWEEP_REST = 20.0
# But no later than that: a process that was frozen while it swept did not sweep all that time.
SWEEP_SECONDS_MAX = 30.0
# The scan starts where it could have started this long ago: transactions that commit later than that are
# found by the sweep.
FLOOR_LAG_SECONDS = 0.3


class Floor:
    """Where a scan may start: a hint that keeps it from walking dead index entries, never a cursor.

    Without it a scan under load degrades from 2 to 50 ms within minutes; with it, it stays near 1 ms.
    """

    def __init__(self) -> None:
        self._current = 0
        self._history: deque[tuple[float, int]] = deque()
        self._sweep_at = 0.0

    def sweep_is_due(self, moment: float) -> bool:
        """Whether this scan must look at all that may still wait, every SWEEP_SECONDS."""
        return moment >= self._sweep_at

    def swept(self, moment: float, *, seconds: float) -> None:
        """A sweep began at that moment and took so long."""
        self._sweep_at = moment + min(max(SWEEP_SECONDS, SWEEP_REST * seconds), SWEEP_SECONDS_MAX)

    def start(self, moment: float) -> int:
        """The id to scan from, between two sweeps."""
        while self._history and self._history[0][0] <= moment - FLOOR_LAG_SECONDS:
            self._current = self._history.popleft()[1]
        return self._current

    def note(self, moment: float, lowest_unsent: int) -> None:
        """Remember the lowest id that a scan at that moment saw unsent."""
        self._history.append((moment, lowest_unsent))
