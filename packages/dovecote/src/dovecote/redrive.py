"""Dead letters once more: by a job when their time has come, by an operator when the cause is mended.

A redrive never goes through Kafka: the letter's row is locked, the handler runs on its bytes, and the row is
DONE in that transaction.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from dovecote import deadletter, inbox, telemetry
from dovecote.database import Database, Transaction
from dovecote.deadletter import DeadLetter
from dovecote.delivery import RetryPolicy
from dovecote.errors import DovecoteError, EnvelopeError, UnavailableError, is_environment
from dovecote.inbox import Outcome
from dovecote.reading import Reader
from dovecote.retry import backoff, jitter

# A claimed letter is nobody else's for so long; a try takes less (the database's statement limit).
LEASE = timedelta(minutes=1)
GIVE_BACK_TRIES_MAX = 30


class Redrive:
    """Tries the dead letters of one consumer group again."""

    def __init__(self, database: Database, reader: Reader, *, group: str, policy: RetryPolicy) -> None:
        self._database = database
        self._reader = reader
        self._group = group
        self._policy = policy

    async def due(self, *, limit: int = 100) -> int:
        """Try each letter whose time has come, in a transaction of its own; says how many.

        Raises the environment's errors (UnavailableError and what a handler may call retriable): the letter in hand
        stays as it was, its try uncounted.
        """
        tried: list[int] = []
        while len(tried) < limit:
            now = self._database.now
            lease = now + max(self._policy.most, LEASE)
            claimed = await self._database.fetchrow(deadletter.CLAIM_DUE, self._group, now, lease, tried, lane="work")
            if claimed is None:
                break
            tried.append(claimed["id"])
            if claimed["attempts"] > self._policy.attempts_max:
                await self._failed(claimed["id"], DovecoteError("The process died each time this letter was tried."))
                continue
            try:
                await self.one(claimed["id"])
            except Exception:  # only the environment's errors come this far
                await self._give_back(claimed["id"])
                raise
        return len(tried)

    async def _give_back(self, number: int) -> None:
        """Uncount a try that the environment ended, as soon as the database answers again."""
        for attempt in range(1, GIVE_BACK_TRIES_MAX + 1):
            try:
                async with self._database.transaction("work") as tx:
                    await tx.execute(deadletter.GIVE_BACK, number, tx.now)
            except UnavailableError:
                wait = jitter(backoff(attempt, first=timedelta(milliseconds=100), most=timedelta(seconds=5)))
                await asyncio.sleep(wait.total_seconds())
            else:
                return

    async def one(self, number: int) -> str:
        """Try one letter now, whatever its status; returns the new one.

        An unknown number returns ``UNKNOWN``, a letter that is done stays ``DONE``.
        Raises UnavailableError where the database fails: the letter stays as it was.
        """
        try:
            return await self._try(number)
        except Exception as error:  # the handler may raise anything, again
            if is_environment(error):
                raise
            return await self._failed(number, error)

    async def _try(self, number: int) -> str:
        async with self._database.transaction("work") as tx:
            found = await deadletter.lock(tx, number)
            if found is None or found.status == "DONE":
                return "UNKNOWN" if found is None else "DONE"
            status = await self._handle(tx, found)
            await deadletter.mark(tx, number, status, error=next(iter(tx.parked.values()), None))
        return status

    async def _handle(self, tx: Transaction, found: DeadLetter) -> str:
        one = self._reader.read(found.message)
        if one.delivery is None or one.route is None or one.event_id is None:
            raise EnvelopeError(one.error)
        known = await inbox.digests(tx, self._group, [one.event_id])
        if known.get(one.event_id, one.digest) != one.digest:
            raise EnvelopeError(f"eventId {one.event_id} came before with other content.")
        if await inbox.admit_again(tx, self._group, one.event_id, one.route.struct.EVENT, one.digest):
            await one.route.run(tx, [one.delivery])
        if tx.parked:
            await inbox.conclude(tx, self._group, list(tx.parked), Outcome.PARKED)
            return "PARKED"
        return "DONE"

    async def _failed(self, number: int, error: Exception) -> str:
        async with self._database.transaction("work") as tx:
            found = await deadletter.lock(tx, number)
            if found is None or found.status == "DONE":
                return "UNKNOWN" if found is None else "DONE"
            last = found.status != "RETRYING" or found.attempts >= self._policy.attempts_max
            if last and found.event_id is not None and not isinstance(error, EnvelopeError):
                await inbox.conclude(tx, self._group, [found.event_id], Outcome.DEAD)
            status = "DEAD" if last else "RETRYING"
            retry_at = None if last else tx.now + self._policy.wait(found.attempts)
            await deadletter.mark(tx, number, status, error=telemetry.describe(error), retry_at=retry_at)
        return status
