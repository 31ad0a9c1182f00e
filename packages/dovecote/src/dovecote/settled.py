"""How far back a full sweep of the outbox must look: an id below which nothing new can appear.

Records become visible out of order, so the fast scan's floor is a hint and a sweep stands behind it. The sweep need
not read the whole history: once every transaction that was writing when an id was the newest has ended, no record
below that id can become visible any more. What is still PENDING there is marked ``behind`` and has an index of its
own, which the SENT ones never enter.
"""

from __future__ import annotations

from typing import Any

from dovecote.sql import Sql

SETTLE_SECONDS = 3.0
# One step holds up the marks; it goes no further than this, about 50 ms.
STEP_IDS = 50_000

READ_SETTLED = Sql("SELECT coalesce(max(settled_below), 0) FROM relay_leader")
NEWEST = Sql("SELECT coalesce(max(id), 0) FROM outbox_event_record")
# Whoever has taken an id holds this lock since before he took it, and until others can see the record.
WRITERS = Sql("""
    SELECT DISTINCT virtualtransaction
      FROM pg_locks
     WHERE locktype = 'relation' AND mode = 'RowExclusiveLock'
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND relation = 'outbox_event_record'::regclass
""")
LEAVE_BEHIND = Sql("""
    WITH moved AS (
        UPDATE relay_leader SET settled_below = $2 WHERE single AND epoch = $3 AND settled_below = $1
        RETURNING epoch
    ), left_behind AS (
        UPDATE outbox_event_record AS o
           SET behind = true
          FROM moved
         WHERE o.id >= $1 AND o.id < $2 AND o.status = 'PENDING' AND o.blocked_by IS NULL AND NOT o.behind
        RETURNING o.id
    )
    SELECT (SELECT count(*) FROM moved) AS moved, (SELECT count(*) FROM left_behind) AS left_behind
""")


class Settled:
    """The id below which the outbox is settled, and the next one, which waits for those who were writing below it."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch
        self._next: tuple[int, frozenset[str]] | None = None
        self.below = 0

    async def read(self, connection: Any) -> None:
        """Take over where the last leader was."""
        self.below = int(await connection.fetchval(READ_SETTLED.text))

    async def step(self, connection: Any) -> int:
        """Move on where the writers of before have ended, and choose the next id; says how many were left behind.

        The statements must not share a snapshot: each looks at what has been committed until then.
        """
        left = 0
        if self._next is not None:
            newest, writing = self._next
            if writing & await _writers(connection):
                return 0
            to = min(newest + 1, self.below + STEP_IDS)
            row = await connection.fetchrow(LEAVE_BEHIND.text, self.below, to, self._epoch)
            if row["moved"]:
                self.below, left = to, int(row["left_behind"])
            if self.below <= newest:
                return left
        newest = int(await connection.fetchval(NEWEST.text))
        # Asked after the newest id: who took one below it and is not among these has committed, or never will.
        self._next = (newest, await _writers(connection)) if newest >= self.below else None
        return left


async def _writers(connection: Any) -> frozenset[str]:
    return frozenset(row["virtualtransaction"] for row in await connection.fetch(WRITERS.text))
