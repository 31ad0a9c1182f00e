"""Calls that arrive together share one act, e.g. one transaction; each is answered only when it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from dovecote.errors import DovecoteError, is_environment

Q = TypeVar("Q")
A = TypeVar("A")


class Gather(Generic[Q, A]):
    """``await gather(item)``: while one act runs, those who come wait and go together in the next.

    An answer that is a DovecoteError is raised to its own caller. An act that fails for its environment fails
    for all; one that fails otherwise is repeated item by item, so that a bad item hurts nobody else.
    """

    def __init__(
        self, act: Callable[[Sequence[Q]], Awaitable[Sequence[A | DovecoteError]]], *, batch_max: int = 100
    ) -> None:
        self._act = act
        self._batch_max = batch_max
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._runner: asyncio.Task[None] | None = None

    async def __call__(self, item: Q) -> A:
        """The answer to one item; raises what its act raised."""
        future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[: self._batch_max], self._waiting[self._batch_max :]
            await self._serve(batch)

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
