"""Bugs against the outbox and the relay (rows O)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from dovecote import leadership, marks, outbox, term
from dovecote.sql import Sql
from dovecote.term import Term
from dovecote.transaction import Transaction
from ecom.order import store as order_store
from tests.simulation.bugs.switch import Bug, swapped, wrapped


def _walking(scan: Any) -> Any:
    async def walk(self: Term, scans: Any, room: int) -> Sequence[Any]:
        """A cursor: what became visible behind it is never looked at."""
        rows = await scan(self, scans, room)
        last = getattr(self, "_cursor", 0)
        self._cursor = max([last, *(row.id for row in rows)])  # type: ignore[attr-defined]
        return [row for row in rows if row.id > last]

    return walk


def _all_may_leave(_self: Term, rows: Sequence[Any]) -> tuple[list[Any], list[tuple[int, int]]]:
    return list(rows), []


def _marked_first(send: Any) -> Any:
    def mark_and_send(self: Term, rows: Sequence[Any], group: Any) -> None:
        async def mark() -> None:
            async with self._marking:
                await self._marks.execute(
                    marks.MARK_SENT.text, [row.id for row in rows], self._database.now, self._epoch
                )
            send(self, rows, group)

        self._in_flight.update(row.id for row in rows)
        group.create_task(mark())

    return mark_and_send


def _said_at_once(flush: Any) -> Any:
    async def flush_elsewhere(self: Transaction) -> None:
        """Events are written by another session, which knows nothing of this one's end."""
        own = self._connection
        if self._events:
            async with self._database._connection("work") as other:
                events, intents = self._events, self._intents
                self._connection, self._intents = other, {}
                settled, postponed = self._settled, self._postponed
                self._settled, self._postponed = [], []
                await flush(self)
                self._connection, self._intents, self._events = own, intents, []
                self._settled, self._postponed = settled, postponed
                del events
        await flush(self)

    return flush_elsewhere


def _told_early(flush: Any) -> Any:
    async def flush_and_tell(self: Transaction) -> None:
        """The leader is handed what was said before it is certain."""
        await flush(self)
        if self._said and (leader := self._database.leader):
            leader.hand_over(self._said)
            self._said = []

    return flush_and_tell


def _under_any_epoch(sql: Sql) -> Sql:
    return Sql(re.sub(r"epoch = (\$\d)", r"\1::bigint > 0", sql.text))


OUTBOX_BUGS = (
    Bug("O1", "the relay walks ids with a cursor", (wrapped(Term, "_scan", _walking),)),
    Bug(
        "O2",
        "an order is moved without its row's lock",
        (
            swapped(
                order_store,
                "LOCK_ORDERS",
                Sql(order_store.LOCK_ORDERS.text.replace("FOR UPDATE", "")),
            ),
        ),
    ),
    Bug("O3", "events are handed to the relay before their commit", (wrapped(Transaction, "flush", _told_early),)),
    Bug("O4", "a record leaves although its predecessor has not", (swapped(Term, "_sort", _all_may_leave),)),
    Bug("O5", "a record is marked SENT before Kafka has it", (wrapped(Term, "_send", _marked_first),)),
    Bug(
        "O7",
        "nobody asks who leads: each relay sends, and marks whatever its epoch and whatever the others have marked",
        (
            swapped(leadership, "TRY_LOCK", Sql("SELECT $1::bigint IS NOT NULL")),
            wrapped(leadership, "BEAT", _under_any_epoch),
            wrapped(term, "MARK_SENT", _under_any_epoch),
            wrapped(
                term, "MARK_TRIED", lambda sql: Sql(_under_any_epoch(sql).text.replace("AND o.status = 'PENDING'", ""))
            ),
        ),
    ),
    Bug(
        "O14",
        "a replay looks at what it read, not at what is there when it has the lock",
        (
            swapped(
                outbox,
                "REPLAY_FAILED",
                Sql(
                    outbox.REPLAY_FAILED.text.replace("FOR UPDATE", "").replace(
                        "WHERE o.id = chosen.id", "WHERE o.id = chosen.id AND o.status IN ('FAILED', 'PENDING')"
                    )
                ),
            ),
        ),
    ),
    Bug("O17", "events are written by a session of their own", (wrapped(Transaction, "flush", _said_at_once),)),
)
