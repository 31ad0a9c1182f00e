"""A statement's answer, waited for on the spot: the loop goes round only where the statement waits for a lock."""

from __future__ import annotations

import select
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from tests.simulation.loop import ANSWER_SECONDS


class Wire:
    """A session's socket, read without the loop."""

    def __init__(self, raw: Any) -> None:
        self._transport = raw._transport
        self._poll = select.poll()
        self._poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)

    @property
    def is_closing(self) -> bool:
        """Whether nothing will come any more: the loop will tell the driver so."""
        return self._transport.is_closing()  # type: ignore[no-any-return]

    def read(self) -> bool:
        """Hand what has come to the driver; False where nothing came for a while."""
        if not self._poll.poll(1000 * ANSWER_SECONDS):
            return False
        self._transport._read_ready()
        return True


class OnTheSpot:
    """Awaits what the driver does: in one go, unless somebody says after a while that it will take long."""

    def __init__(self, work: Coroutine[Any, Any, Any], wire: Wire, takes_long: Callable[[], bool]) -> None:
        self._work = work
        self._wire = wire
        self._takes_long = takes_long

    def __await__(self) -> Generator[Any, None, Any]:
        error: BaseException | None = None
        while True:
            try:
                answer = self._work.throw(error) if error is not None else self._work.send(None)
            except StopIteration as result:
                return result.value
            error = None
            while not answer.done():
                if self._wire.is_closing or (not self._wire.read() and self._takes_long()):
                    try:
                        yield answer
                    except BaseException as thrown:  # noqa: BLE001 (a cancellation belongs to the statement)
                        error = thrown
                    break
