"""A statement's answer, waited for on the spot: the loop goes round only where the statement waits for a lock."""

from __future__ import annotations

import select
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

# A statement that takes longer is looked at: it waits for a lock, or the machine is busy.
ANSWER_SECONDS = 0.004


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
    """Awaits what the driver does in one go; the loop goes round only while the session waits for a lock."""

    def __init__(self, work: Coroutine[Any, Any, Any], wire: Wire, wait: Callable[[], Awaitable[None] | None]) -> None:
        self._work = work
        self._wire = wire
        self._wait = wait  # None where no lock is waited for; else what ends once it is free

    def __await__(self) -> Generator[Any, None, Any]:
        error: BaseException | None = None
        while True:
            try:
                answer = self._work.throw(error) if error is not None else self._work.send(None)
            except StopIteration as result:
                return result.value
            error = None
            while not answer.done() and error is None:
                if not self._wire.is_closing and self._wire.read():
                    continue
                try:
                    if self._wire.is_closing:
                        yield answer
                    elif (wait := self._wait()) is not None:
                        yield from wait.__await__()
                except BaseException as thrown:  # noqa: BLE001 (a cancellation belongs to the statement)
                    answer.cancel()
                    error = thrown
