"""A guard against messages that kill the process: tries are counted in the database before they are made.

Only the first batch after an assignment is noted (that is where a deadly message comes back), so the hot path
pays nothing. A start that was tried too often is handled message by message, each noted before its try.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dovecote.sql import Sql

if TYPE_CHECKING:
    from dovecote.database import Database
    from dovecote.kafka import Message

TRIES_MAX = 3

NOTE = Sql("""
    INSERT INTO delivery_attempt AS d (consumer_group, topic, partition, "offset", attempts)
    SELECT $1, new.topic, new.partition, new."offset", 1
      FROM unnest($2::text[], $3::int[], $4::bigint[]) AS new(topic, partition, "offset")
     ORDER BY new.topic, new.partition
    ON CONFLICT (consumer_group, topic, partition)
    DO UPDATE SET "offset" = excluded."offset",
                  attempts = CASE WHEN d."offset" = excluded."offset" THEN d.attempts + 1 ELSE 1 END
    RETURNING topic, partition, attempts
""")


class Guard:
    """Counts tries for one consumer group."""

    def __init__(self, database: Database, group: str) -> None:
        self._database = database
        self._group = group

    async def suspects(self, firsts: Sequence[Message]) -> set[tuple[str, int]]:
        """Note where each partition's first batch starts; returns those that were tried too often."""
        # A batch's start is noted as a negative offset, so that it is never taken for a message's own count.
        return await self._note([(m.topic, m.partition, -1 - m.offset) for m in firsts])

    async def deadly(self, message: Message) -> bool:
        """Note one message before its try; True where it has had its tries."""
        return bool(await self._note([(message.topic, message.partition, message.offset)]))

    async def _note(self, places: Sequence[tuple[str, int, int]]) -> set[tuple[str, int]]:
        if not places:
            return set()
        columns = [list(column) for column in zip(*places, strict=True)]
        async with self._database.transaction("consumer") as tx:
            rows = await tx.fetch(NOTE, self._group, *columns)
        return {(row["topic"], row["partition"]) for row in rows if row["attempts"] > TRIES_MAX}
