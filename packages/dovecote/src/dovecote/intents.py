"""Durable intents: calls to the outside world that are written down before they are made.

A handler writes an intent in its transaction. A worker leases intents in batches, calls out with no
transaction open, and records answers and events in one transaction. A crash anywhere repeats the call with
the same idempotency key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from dovecote import telemetry
from dovecote.errors import DovecoteError, is_environment
from dovecote.retry import jitter
from dovecote.sql import Sql

if TYPE_CHECKING:
    from dovecote.database import Database, Transaction

A = TypeVar("A")

RECORD_AGAIN = timedelta(milliseconds=200)
# Beside a transaction that stays open the index keeps every intent that was ever due: after eight minutes of orders a
# look at all of it took 600 ms. So a lease looks no further back than that behind what the last one found (a second of
# orders is 5 ms), and at all of it every so many seconds, or so many times as long as that takes.
OVERLAP = timedelta(seconds=1)
LOOK_BACK_SECONDS, LOOK_BACK_TIMES, LOOK_BACK_SECONDS_MAX = 5.0, 50, 60.0
DAWN = datetime(2000, 1, 1, tzinfo=UTC)

# SKIP LOCKED keeps replicas apart. `attempts` is the lease's token: a worker that lost its lease fails
# LOCK_LEASED, because the next lease has counted on.
LEASE = Sql("""
    UPDATE intent AS i
       SET attempts = i.attempts + 1, leased_until = $3
      FROM (SELECT kind, key
              FROM intent
             WHERE kind = $1 AND status = 'PENDING' AND due_at BETWEEN $5 AND $2
               AND (leased_until IS NULL OR leased_until <= $2)
             ORDER BY due_at, key
             LIMIT $4
               FOR UPDATE SKIP LOCKED) AS due
     WHERE i.kind = due.kind AND i.key = due.key
    RETURNING i.kind, i.key, i.subject, i.body, i.attempts, i.created_at, i.trace_id, i.due_at
""")
LOCK_LEASED = Sql("""
    SELECT i.key
      FROM intent AS i
      JOIN unnest($2::text[], $3::int[]) AS mine(key, attempts) USING (key)
     WHERE i.kind = $1 AND i.done_at IS NULL AND i.attempts = mine.attempts
     ORDER BY i.key
       FOR UPDATE OF i
""")
# Kind, due and lease are one for all, or one for each; an array shorter than the others is filled up with its first
# (a lease that is one for some and none for others comes whole, so that an empty one stays empty).
INSERT_INTENTS = Sql("""
    INSERT INTO intent (kind, key, subject, body, trace_id, due_at, leased_until, status, attempts, created_at)
    SELECT new.kind, new.key, new.subject, new.body, new.trace_id, new.due_at, new.leased_until, 'PENDING',
           (new.leased_until IS NOT NULL)::int, $8
      FROM (SELECT coalesce(each.kind, ($1::text[])[1]) AS kind, each.key, each.subject, each.body, each.trace_id,
                   coalesce(each.due_at, ($6::timestamptz[])[1]) AS due_at,
                   CASE cardinality($7::timestamptz[]) WHEN 1 THEN ($7::timestamptz[])[1] ELSE each.leased_until END
                       AS leased_until
              FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::timestamptz[],
                          $7::timestamptz[])
                AS each(kind, key, subject, body, trace_id, due_at, leased_until)) AS new
     ORDER BY new.kind, new.key
    ON CONFLICT (kind, key) DO NOTHING
    RETURNING kind, key
""")
# Open by done_at, not by status: a status that is PENDING lets the planner walk intent_due, with all its dead
# entries, once for each intent. $1 is one kind for all, or one for each.
SETTLE_INTENTS = Sql("""
    UPDATE intent AS i
       SET status = 'DONE', done_at = $4, leased_until = NULL
      FROM unnest($1::text[], $2::text[], $3::int[]) AS done(kind, key, attempts)
     WHERE i.kind = coalesce(done.kind, ($1::text[])[1]) AND i.key = done.key AND i.attempts = done.attempts
       AND i.done_at IS NULL
""")
# Attempts of 0 mean the intent whatever lease it is under: an operator's wish.
POSTPONE_INTENTS = Sql("""
    UPDATE intent AS i
       SET due_at = later.due_at, leased_until = NULL
      FROM unnest($1::text[], $2::text[], $3::int[], $4::timestamptz[]) AS later(kind, key, attempts, due_at)
     WHERE i.kind = later.kind AND i.key = later.key AND later.attempts IN (0, i.attempts) AND i.done_at IS NULL
""")


class LeaseLost(DovecoteError):
    """An intent that has been answered was leased by another process meanwhile, or is done."""

    retriable = True


class Intent(msgspec.Struct, frozen=True):
    """A call to be made. ``key`` is the idempotency key; ``attempts`` counts leases, this one included."""

    kind: str
    key: str
    subject: str
    body: bytes
    attempts: int
    created_at: datetime
    trace_id: str
    due_at: datetime


@dataclass(frozen=True)
class Worker(Generic[A]):
    """How intents of one kind are carried out.

    ``call`` runs outside any transaction and yields answers as they come; what it does not answer is leased
    again when the lease ends. ``record`` ends each answered intent with ``tx.settle`` or ``tx.postpone``; it may be
    called again for the same answers, its transaction rolled back.
    """

    kind: str
    call: Callable[[Sequence[Intent]], AsyncIterator[tuple[Intent, A]]]
    record: Callable[[Transaction, Sequence[tuple[Intent, A]]], Awaitable[None]]
    batch_max: int = 200
    in_flight_max: int = 2000
    lease: timedelta = timedelta(seconds=30)


class WorkerLoop(Generic[A]):
    """Runs one worker: leases, calls with bounded concurrency, records whatever has been answered meanwhile."""

    POLL_SECONDS = 1.0
    RECORD_MAX = 500

    def __init__(self, database: Database, worker: Worker[A]) -> None:
        self._database = database
        self._worker = worker
        self._answers: asyncio.Queue[tuple[Intent, A]] = asyncio.Queue()
        self._in_flight: dict[str, Intent] = {}
        self._calls: set[asyncio.Task[None]] = set()
        self._left = False  # the last lease may have left something, for want of room
        self._since = DAWN  # what was due before is leased, or was
        self._look_back_at = 0.0

    async def run(self) -> None:
        """Work until cancelled; errors of the environment are waited out."""
        self._database.workers[self._worker.kind] = self
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._lease_loop())
                group.create_task(self._record_loop())
        finally:
            del self._database.workers[self._worker.kind]

    def lease_for(self, intents: int) -> timedelta | None:
        """The lease under which so many new intents may be born, None where there is no room for them."""
        return self._worker.lease if len(self._in_flight) + intents <= self._worker.in_flight_max else None

    def hand_over(self, born: Sequence[Intent]) -> None:
        """Carry out intents that were committed just now, leased to this worker since their birth.

        It saves each the statement of a lease, and the wait for it.
        """
        self._in_flight.update((intent.key, intent) for intent in born)
        for first in range(0, len(born), self._worker.batch_max):
            self._start(born[first : first + self._worker.batch_max])

    def _start(self, intents: Sequence[Intent]) -> None:
        if intents:
            task = asyncio.create_task(self._call(intents))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)

    async def _lease_loop(self) -> None:
        while True:
            try:
                leased = await self._lease()
            except Exception as error:
                if not is_environment(error):
                    raise
                telemetry.waiting(f"worker {self._worker.kind}", error)
                leased = []
            self._start(leased)
            if len(leased) < self._worker.batch_max:
                await self._database.wakeups.wait(self._worker.kind, seconds=self.POLL_SECONDS)

    async def _lease(self) -> list[Intent]:
        room = min(self._worker.batch_max, self._worker.in_flight_max - len(self._in_flight))
        if room <= 0:
            self._left = True
            return []
        now, moment = self._database.now, self._database.clock.monotonic()
        looks_back = moment >= self._look_back_at
        since, until = DAWN if looks_back else self._since, now + self._worker.lease
        rows = await self._database.fetch(LEASE, self._worker.kind, now, until, room, since, lane="work")
        self._left = len(rows) == room
        # The longest due come first: nothing before them is left.
        self._since = (min(row["due_at"] for row in rows) if self._left else now) - OVERLAP
        if looks_back:
            took = self._database.clock.monotonic() - moment
            wait = min(max(LOOK_BACK_SECONDS, LOOK_BACK_TIMES * took), LOOK_BACK_SECONDS_MAX)
            self._look_back_at = moment + took + wait
        intents = [Intent(**row) for row in rows]
        # A call of ours that outlived its lease is still under way: making it twice at once helps nobody. It has
        # a new lease now, under which its answer counts.
        fresh = [intent for intent in intents if intent.key not in self._in_flight]
        self._in_flight.update((intent.key, intent) for intent in intents)
        return fresh

    async def _call(self, intents: Sequence[Intent]) -> None:
        answered = set()
        try:
            async for intent, answer in self._worker.call(intents):
                answered.add(intent.key)
                self._answers.put_nowait((intent, answer))
        except Exception as error:  # noqa: BLE001 (a loop's edge: the lease brings the intent back)
            telemetry.call_failed(self._worker.kind, error)
        finally:
            for intent in intents:
                if intent.key not in answered:
                    self._in_flight.pop(intent.key, None)

    async def _record_loop(self) -> None:
        while True:
            batch = [await self._answers.get()]
            while len(batch) < self.RECORD_MAX and not self._answers.empty():
                batch.append(self._answers.get_nowait())
            left = await self._unrecorded(batch)
            while left:
                await asyncio.sleep(jitter(RECORD_AGAIN).total_seconds())
                left = await self._unrecorded(left)
            for intent, _ in batch:
                self._in_flight.pop(intent.key, None)
            if self._left and len(self._in_flight) < self._worker.in_flight_max:
                self._database.wakeups.ring(self._worker.kind)

    async def _unrecorded(self, batch: Sequence[tuple[Intent, A]]) -> Sequence[tuple[Intent, A]]:
        """Record answers; returns those that the environment kept from it, to be recorded when it is back.

        A surprise is found by bisecting: it alone is asked again, and its neighbours' answers are not lost with it.
        """
        try:
            await self._record(batch)
        except Exception as error:  # noqa: BLE001 (a loop's edge)
            if is_environment(error):
                telemetry.waiting(f"worker {self._worker.kind}", error)
                return batch
            if len(batch) == 1:
                # The lease ends and the same key is asked again.
                telemetry.record_failed(self._worker.kind, error)
                return []
            middle = len(batch) // 2
            return [*await self._unrecorded(batch[:middle]), *await self._unrecorded(batch[middle:])]
        return []

    async def _record(self, answers: Sequence[tuple[Intent, A]]) -> None:
        """Record answers as if all leases still held, which the end proves; where one does not, once more with care.

        Looking first cost every intent a statement and the lock of its row.
        """
        try:
            async with self._database.transaction("work") as tx:
                await self._worker.record(tx, self._as_leased_last(answers))
        except LeaseLost:
            await self._record_with_care(answers)

    def _as_leased_last(self, answers: Sequence[tuple[Intent, A]]) -> list[tuple[Intent, A]]:
        return [(self._in_flight.get(intent.key, intent), answer) for intent, answer in answers]

    async def _record_with_care(self, answers: Sequence[tuple[Intent, A]]) -> None:
        """Record the answers to those intents that are still leased to us, locked before anything else."""
        batch = self._as_leased_last(answers)
        async with self._database.transaction("work") as tx:
            rows = await tx.fetch(
                LOCK_LEASED,
                self._worker.kind,
                [intent.key for intent, _ in batch],
                [intent.attempts for intent, _ in batch],
            )
            mine = {row["key"] for row in rows}
            kept = [(intent, answer) for intent, answer in batch if intent.key in mine]
            if kept:
                await self._worker.record(tx, kept)


def loops(database: Database, workers: Sequence[Worker[Any]]) -> list[WorkerLoop[Any]]:
    """One loop for each worker."""
    return [WorkerLoop(database, worker) for worker in workers]
