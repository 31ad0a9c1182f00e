"""How large a batch may be: about 20 ms of event-loop time, so that HTTP and the other services get their turn.

Who is behind takes three times as much: what waits is late already, and larger batches are what mends that.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine, Generator, Iterator, Sequence
from itertools import pairwise
from typing import Any, Generic, TypeVar

T = TypeVar("T")

LOOP_SECONDS = 0.020
# 20,000 orders in bulk: a seventh more orders a second, a tenth less CPU for each, in PostgreSQL, Kafka and here alike.
# Seven times as much was no better than that.
BEHIND_TIMES = 3
BATCH_MIN, BATCH_MAX = 20, 1000


class Pace:
    """Learns the loop time that one message costs, and says how many fit."""

    def __init__(self) -> None:
        self._seconds_each = LOOP_SECONDS / 200

    def batch_max(self, *, behind: bool = False) -> int:
        """Messages for the next batch."""
        seconds = LOOP_SECONDS * BEHIND_TIMES if behind else LOOP_SECONDS
        return max(BATCH_MIN, min(BATCH_MAX, int(seconds / self._seconds_each)))

    def note(self, messages: int, loop_seconds: float) -> None:
        """Learn from a batch; a single message says little about many, so it weighs little."""
        weight = min(0.5, messages / 100)
        self._seconds_each += weight * (max(loop_seconds / messages, 1e-6) - self._seconds_each)


def shares(items: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """As few parts as there can be of at most so many items, all of about one size, in order."""
    count = -(-len(items) // most)
    bounds = [len(items) * part // count for part in range(count + 1)] if count else []
    for first, end in pairwise(bounds):
        yield items[first:end]


class Metered(Generic[T]):
    """Awaits a coroutine and adds up the time it kept the loop busy (not the time it waited)."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._work = work
        self.loop_seconds = 0.0

    def __await__(self) -> Generator[Any, Any, T]:
        send: Any = None
        error: BaseException | None = None
        while True:
            # CPU time of the thread, not wall time: on a busy machine the loop's waits for a core would pass
            # for work, and batches would shrink just when they should grow.
            started = time.thread_time()
            try:
                waits = self._work.throw(error) if error is not None else self._work.send(send)
            except StopIteration as result:
                return result.value  # type: ignore[no-any-return]
            finally:
                self.loop_seconds += time.thread_time() - started
            error = None
            try:
                send = yield waits
            except BaseException as thrown:  # noqa: BLE001 (a cancellation belongs to the coroutine within)
                error = thrown
