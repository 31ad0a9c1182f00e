"""Bugs against consumer, inbox and dead letters (rows C)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from dovecote import consumer, deadletter, delivery, inbox
from dovecote.consumer import ConsumerLoop
from dovecote.delivery import Courier
from dovecote.errors import UnavailableError
from dovecote.kafka import KafkaConsumer
from dovecote.sql import Sql
from tests.simulation.bugs.switch import Bug, swapped, wrapped


def _remembering(revoke: Any) -> Any:
    def revoke_and_keep(self: KafkaConsumer, client: object, partitions: Any) -> None:
        """What was to be committed is kept, and committed after the next assignment."""
        gone = {(p.topic, p.partition) for p in partitions}
        kept = {at: offset for at, offset in (self._refused | self._sent | self._pending).items() if at in gone}
        revoke(self, client, partitions)
        self._pending |= kept

    return revoke_and_keep


async def _everything_is_new(tx: Any, group: str, events: Any) -> set[UUID]:
    await tx.execute(Sql(inbox.INSERT_NEW.text + " ON CONFLICT DO NOTHING"), *inbox._columns(tx, group, events))
    return set(events)


async def _new_without_a_look(tx: Any, group: str, events: Any) -> None:
    await _everything_is_new(tx, group, events)


def _admitted_apart(_transact: Any) -> Any:
    async def transact(self: Courier, batch: Sequence[Any], *, careful: bool) -> None:
        """The inbox rows are committed first, the effect afterwards."""
        firsts, others, letters = delivery._split(batch)
        async with self._database.transaction("consumer") as tx:
            fresh = await self._admit(tx, firsts, others, letters, careful=careful)
        async with self._database.transaction("consumer") as tx:
            await self._handle(tx, fresh, letters)
            await deadletter.bury(tx, self._group, letters)

    return transact


def _shared(sql: Sql) -> Sql:
    """One inbox for all groups."""
    text = sql.text.replace("consumed_event_record", "order_service.consumed_event_record")
    return Sql(text.replace("SELECT $1,", "SELECT left($1, 0),").replace("consumer_group = $1", "left($1, 0) = ''"))


def _end_first(_batch: Any) -> Any:
    async def batch(self: ConsumerLoop, kafka: KafkaConsumer, received: Sequence[Any]) -> list[Any]:
        """Offsets go first, the work afterwards."""
        messages = [one.message for one in received]
        fresh = kafka.begin(messages)
        kafka.end(consumer._offsets(messages))
        await _batch_polls(kafka)
        await self._handle(received, fresh)
        return []

    return batch


async def _batch_polls(kafka: KafkaConsumer) -> None:
    kafka._commit_pending()


def _all_set_aside(handle: Any) -> Any:
    async def handle_all_or_none(self: Courier, tx: Any, fresh: list[Any], letters: list[Any]) -> None:
        """One that cannot be read takes its neighbours along."""
        if any(one.delivery is None for one in fresh):
            letters.extend(delivery._unreadable(one) for one in fresh)
            return
        await handle(self, tx, fresh, letters)

    return handle_all_or_none


def _given_up(deliver: Any) -> Any:
    async def deliver_or_not(self: Courier, batch: Sequence[Any]) -> None:
        """A database that did not answer is taken for one that did."""
        try:
            await deliver(self, batch)
        except UnavailableError:
            return

    return deliver_or_not


def _never_environment(_error: BaseException) -> bool:
    return False


def _unhashed(admit: Any) -> Any:
    async def admit_by_id(
        self: Courier, tx: Any, firsts: Any, others: Any, letters: list[Any], *, careful: bool
    ) -> list[Any]:
        """An eventId that is known is a repeat, whatever its content."""
        unseen: list[Any] = []
        return await admit(self, tx, firsts, (), unseen, careful=careful)  # type: ignore[no-any-return]

    return admit_by_id


CONSUMER_BUGS = (
    Bug("C1", "what a lost assignment left uncommitted is committed under the next", (
        wrapped(KafkaConsumer, "_revoke", _remembering),
    )),
    Bug("C2", "the inbox lets every event pass", (
        swapped(inbox, "admit", _everything_is_new),
        swapped(inbox, "admit_new", _new_without_a_look),
    )),
    Bug("C3", "inbox row and effect are two transactions", (wrapped(Courier, "_transact", _admitted_apart),)),
    Bug("C4", "one inbox for all groups", (
        wrapped(inbox, "INSERT_NEW", _shared),
        wrapped(inbox, "ADMIT", _shared),
    )),
    Bug("C6", "offsets are committed before the effect", (wrapped(ConsumerLoop, "_batch", _end_first),)),
    Bug("C7", "one unreadable message takes its batch along", (wrapped(Courier, "_handle", _all_set_aside),)),
    Bug("C9", "tries of a dead letter are not counted", (
        wrapped(deadletter, "CLAIM_DUE", lambda sql: Sql(sql.text.replace("d.attempts + 1", "d.attempts"))),
    )),
    Bug("C10", "a lost connection is a poisoned event", (swapped(delivery, "is_environment", _never_environment),)),
    Bug("C18", "an eventId's second content is a repeat", (wrapped(Courier, "_admit", _unhashed),)),
    Bug("C19", "a commit without an answer is taken for done", (wrapped(Courier, "deliver", _given_up),)),
)  # fmt: skip
