"""Where the relay's scan may start: a hint, never a cursor."""

from __future__ import annotations

from collections.abc import Collection, Iterable

SWEEP_SECONDS = 2.0
# A sweep that has far to go (somebody writes for an hour) comes so much later than it took.
SWEEP_REST = 20.0
# But no later than that: a process that was frozen while it swept did not sweep all that time.
SWEEP_SECONDS_MAX = 30.0
# So long the scan starts no later than at an id that it has passed without seeing it: transactions that commit later
# than that are found by the sweep.
GAP_SECONDS = 0.3


class Floor:
    """Where a scan may start: behind all that was seen, or at the first id that was passed over a moment ago.

    Ids are taken in order and become visible in any: one that is missing between two that were seen belongs to a
    transaction that has not committed yet, or never will. Without a floor a scan under load degrades from 2 to 50 ms
    within minutes. A floor that stayed for 0.3 s where it was, gaps or not, had each scan walk what was sent since.
    """

    def __init__(self) -> None:
        self.next = 1  # the id after the newest that was seen
        # Ids that were passed over: the first of a run → the last of it, and until when it is waited for.
        self._gaps: dict[int, tuple[int, float]] = {}
        self._sweep_at = 0.0

    def sweep_is_due(self, moment: float) -> bool:
        """Whether this scan must look at all that may still wait, every SWEEP_SECONDS."""
        return moment >= self._sweep_at

    def swept(self, moment: float, *, seconds: float) -> None:
        """A sweep began at that moment and took so long."""
        self._sweep_at = moment + min(max(SWEEP_SECONDS, SWEEP_REST * seconds), SWEEP_SECONDS_MAX)

    def start(self, moment: float) -> int:
        """The id to scan from, between two sweeps."""
        first = min(self._gaps, default=self.next)
        # Forgotten after this look: where scans are slow, each gap is looked at once more all the same.
        self._gaps = {first: gap for first, gap in self._gaps.items() if gap[1] > moment}
        return first

    def saw(self, moment: float, start: int, records: Iterable[int]) -> None:
        """A scan from that id found these, ascending."""
        self.next = max(self.next, start)
        for record in records:
            if record >= self.next:
                if record > self.next:
                    self._gaps[self.next] = record - 1, moment + GAP_SECONDS
                self.next = record + 1
            elif gap := self._gaps.pop(record, None):
                # Where one in the middle of a run comes first, the scan starts before it a little longer.
                last, until = gap
                if record < last:
                    self._gaps[record + 1] = last, until

    def look_again(self, moment: float, records: Collection[int]) -> None:
        """These were seen and have not left."""
        if records:
            first = min(records)
            last, _ = self._gaps.get(first, (first, moment))
            self._gaps[first] = max(last, *records), moment + GAP_SECONDS
