"""Calls that arrive together share one act, e.g. one transaction; each is answered only when it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from dovecote.errors import DovecoteError, is_environment

Q = TypeVar("Q")
A = TypeVar("A")


class Gather(Generic[Q, A]):
    """``await gather(item)``: while as many acts as may run ``at_once`` do, those who come wait and go in the next.

    With two at once, one waits for its commit while the other is being made. An answer that is a DovecoteError is
    raised to its own caller. An act that fails for its environment fails for all; one that fails otherwise is repeated
    item by item, so that a bad item hurts nobody else.
    """

    def __init__(
        self,
        act: Callable[[Sequence[Q]], Awaitable[Sequence[A | DovecoteError]]],
        *,
        batch_max: int = 100,
        at_once: int = 1,
    ) -> None:
        self._act = act
        self._batch_max = batch_max
        self._at_once = at_once
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._runners: set[asyncio.Task[None]] = set()
        self._is_starting = False

    async def __call__(self, item: Q) -> A:
        """The answer to one item; raises what its act raised."""
        future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        # One that starts takes all who have come until then.
        if not self._is_starting and len(self._runners) < self._at_once:
            self._is_starting = True
            self._runners.add(asyncio.create_task(self._run()))
        return await future

    async def _run(self) -> None:
        self._is_starting = False
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._batch_max], self._waiting[self._batch_max :]
                await self._serve(batch)
        finally:
            # Here and not when the task is done, a turn of the loop later: who comes meanwhile needs a new runner.
            self._runners.remove(asyncio.current_task())  # type: ignore[arg-type]

    async def _serve(self, batch: Sequence[tuple[Q, asyncio.Future[A]]]) -> None:
        try:
            answers = await self._act([item for item, _ in batch])
            if len(answers) != len(batch):
                raise RuntimeError(f"An act on {len(batch)} items gave {len(answers)} answers; it owes one each.")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 (handed to the callers, who know what it means to them)
            if len(batch) == 1 or is_environment(error):
                for _, future in batch:
                    _finish(future, error)
                return
            for one in batch:
                await self._serve([one])
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            _finish(future, answer)


def _finish(future: asyncio.Future[A], answer: A | Exception) -> None:
    if future.done():  # its caller went away
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
