"""One batch, start to finish. Read this page to know what becomes of an event.

A batch is messages of ONE topic and event type. In one transaction it is admitted through the inbox, handed to
the handler, and what cannot be handled is set aside:

    repeat            the group has a verdict on this eventId               → nothing (the batch is begun again)
    unreadable        no envelope, no eventId, too large, payload unfit     → dead letter DEAD
    impostor          a known eventId with other content                    → dead letter DEAD
    parked            the handler said tx.park                              → dead letter PARKED
    surprise          the handler raised: the batch is bisected to find it  → dead letter RETRYING
    environment       the world failed: raised to the caller, who repeats the whole batch
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from dovecote import deadletter, inbox, telemetry
from dovecote.database import Database, Transaction
from dovecote.deadletter import Letter
from dovecote.errors import is_environment
from dovecote.inbox import Outcome
from dovecote.reading import Received
from dovecote.retry import backoff

# Repeats come together (after a rebalance, a crash, a replay): one that was found announces others.
CAREFUL_BATCHES = 50


@dataclass(frozen=True)
class RetryPolicy:
    """How often a surprising event is tried before it is DEAD, and how long between the tries."""

    attempts_max: int = 5
    first: timedelta = timedelta(seconds=5)
    most: timedelta = timedelta(minutes=10)

    def wait(self, attempts: int) -> timedelta:
        """The delay after so many attempts."""
        return backoff(attempts, first=self.first, most=self.most)


class Courier:
    """Delivers batches to the handlers of one consumer group."""

    def __init__(self, database: Database, *, group: str, policy: RetryPolicy) -> None:
        self._database = database
        self._group = group
        self._policy = policy
        self._careful = 0  # batches that are still expected to hold repeats

    async def deliver(self, batch: Sequence[Received]) -> None:
        """Handle a batch. Raises only for the environment: repeat the batch, the inbox absorbs what was done."""
        try:
            await self._attempt(batch)
        except Exception as error:  # a handler may raise anything: that is what this page is for
            if is_environment(error):
                raise
            if len(batch) == 1:
                await self._set_aside(batch[0], error)
                return
            telemetry.bisected(self._group, len(batch), error)
            middle = len(batch) // 2
            await self.deliver(batch[:middle])
            await self.deliver(batch[middle:])

    async def _attempt(self, batch: Sequence[Received]) -> None:
        """Handle a batch as if all of it were new; where it is not, once more with care, and the next ones too."""
        try:
            await self._transact(batch, careful=self._careful > 0)
        except inbox.RepeatFound:
            self._careful = CAREFUL_BATCHES
            await self._transact(batch, careful=True)
        else:
            self._careful = max(0, self._careful - 1)

    async def _transact(self, batch: Sequence[Received], *, careful: bool) -> None:
        firsts, others, letters = _split(batch)
        async with self._database.transaction("consumer") as tx:
            fresh = await self._admit(tx, firsts, others, letters, careful=careful)
            await self._handle(tx, fresh, letters)
            await deadletter.bury(tx, self._group, letters)
        self._count(batch[0], handled=len(fresh), repeats=len(firsts) - len(fresh))

    async def _admit(
        self,
        tx: Transaction,
        firsts: dict[UUID, Received],
        others: Sequence[tuple[UUID, Received]],
        letters: list[Letter],
        *,
        careful: bool,
    ) -> list[Received]:
        """The events that are new to the group; what has another content than its eventId's first becomes a letter."""
        admitted, digests = set(firsts), {event_id: one.digest for event_id, one in firsts.items()}
        if careful and firsts:
            admitted = await inbox.admit(tx, self._group, firsts)
            digests |= await inbox.digests(tx, self._group, [known for known in firsts if known not in admitted])
        elif firsts:
            await inbox.admit_new(tx, self._group, firsts)
        imitating = [(event_id, one) for event_id, one in [*firsts.items(), *others] if one.digest != digests[event_id]]
        letters.extend(_impostor(event_id, one) for event_id, one in imitating)
        return [one for event_id, one in firsts.items() if event_id in admitted]

    async def _handle(self, tx: Transaction, fresh: list[Received], letters: list[Letter]) -> None:
        """Run the handler; what it cannot read or parks becomes letters, with the verdict in the inbox."""
        unfit = [one for one in fresh if one.delivery is None]
        letters.extend(_unreadable(one) for one in unfit)
        await inbox.conclude(tx, self._group, [one.event_id for one in unfit if one.event_id], Outcome.DEAD)
        readable = {one.event_id: one for one in fresh if one.delivery is not None}
        if not readable:
            return
        route = next(iter(readable.values())).route
        assert route is not None
        await route.run(tx, [one.delivery for one in readable.values() if one.delivery is not None])
        for event_id, why in tx.parked.items():
            one = readable[event_id]
            letters.append(Letter(one.message, event_id, one.event_type, why, "PARKED"))
        await inbox.conclude(tx, self._group, list(tx.parked), Outcome.PARKED)

    async def _set_aside(self, one: Received, error: Exception) -> None:
        """A surprise: a dead letter that is tried again, in the same transaction as its inbox row."""
        await self._bury_alone(one, telemetry.describe(error), Outcome.PARKED, retry=True)

    async def condemn(self, one: Received, why: str) -> None:
        """Set a message aside without another try, e.g. because it has killed the process before."""
        await self._bury_alone(one, why, Outcome.DEAD, retry=False)

    async def _bury_alone(self, one: Received, why: str, outcome: Outcome, *, retry: bool) -> None:
        async with self._database.transaction("consumer") as tx:
            if one.event_id is not None:
                if not await inbox.admit(tx, self._group, {one.event_id: one}):
                    return
                await inbox.conclude(tx, self._group, [one.event_id], outcome)
            retry_at = tx.now + self._policy.wait(1) if retry else None
            status = "RETRYING" if retry else "DEAD"
            letter = Letter(one.message, one.event_id, one.event_type, why, status, retry_at)
            await deadletter.bury(tx, self._group, [letter])

    def _count(self, one: Received, *, handled: int, repeats: int) -> None:
        telemetry.BATCH.labels(self._group).observe(handled)
        # The label is a type this service handles, or one word: a label from the wire would be unbounded.
        kind = one.event_type if one.route is not None and one.event_type else "unreadable"
        telemetry.HANDLED.labels(self._group, kind, "handled").inc(handled)
        if repeats:
            telemetry.HANDLED.labels(self._group, kind, "repeat").inc(repeats)


def _split(batch: Sequence[Received]) -> tuple[dict[UUID, Received], list[tuple[UUID, Received]], list[Letter]]:
    """The first message of each eventId, in order, later ones with another content, letters for what has no eventId.

    Repeats must go before the inbox: an eventId twice in one insert returns one row.
    """
    firsts: dict[UUID, Received] = {}
    others: list[tuple[UUID, Received]] = []
    letters: list[Letter] = []
    for one in batch:
        if one.event_id is None:
            letters.append(_unreadable(one))
        elif firsts.setdefault(one.event_id, one).digest != one.digest:
            others.append((one.event_id, one))
    return firsts, others, letters


def _unreadable(one: Received) -> Letter:
    return Letter(one.message, one.event_id, one.event_type, one.error, "DEAD")


def _impostor(event_id: UUID, one: Received) -> Letter:
    why = f"eventId {event_id} came before with other content."
    return Letter(one.message, event_id, one.event_type, why, "DEAD")
