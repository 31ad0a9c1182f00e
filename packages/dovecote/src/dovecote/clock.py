"""The database's clock, read without a round trip: an offset measured now and then, plus the monotonic clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from dovecote.sql import Sql

# The one place that asks PostgreSQL for the time; everything else passes `tx.now` as a parameter.
READ_CLOCK = Sql("SELECT clock_timestamp()")


class Clock:
    """UTC time of the database, in milliseconds; steady between two measurements."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._base = datetime.now(UTC)
        self._mark = monotonic()

    def set(self, database_time: datetime, *, asked: float) -> None:
        """Adopt a reading of the database's clock; ``asked`` is the monotonic time just before the question."""
        # The answer was true somewhere between question and now: the middle halves the error.
        answered = self._monotonic()
        self._base, self._mark = database_time, (asked + answered) / 2

    def monotonic(self) -> float:
        """Seconds of the monotonic clock, for durations and as the mark of a question."""
        return self._monotonic()

    @property
    def now(self) -> datetime:
        """The database's time now, whole milliseconds (what the wire carries)."""
        moment = self._base + timedelta(seconds=self._monotonic() - self._mark)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
