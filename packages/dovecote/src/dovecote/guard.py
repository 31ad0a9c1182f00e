"""A guard against messages that kill the process: tries are counted in the database before they are made.

Only a partition's first batch after an assignment is noted (that is where a deadly message comes back), so the
hot path pays nothing. A batch that was tried too often is handled message by message, each noted before its
try; the one that the process was last seen with is condemned in its turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dovecote.sql import Sql

if TYPE_CHECKING:
    from dovecote.database import Database
    from dovecote.kafka import Assignment, Message

# Deaths, first with the batch and then with the message alone. Not fewer: a process is also killed for reasons
# that are no message's fault, and a slow message would be blamed for them.
TRIES_MAX = 3

# A start that moved is a start that was survived, and so were the messages that were tried alone.
NOTE_BATCHES = Sql("""
    WITH noted AS (
        INSERT INTO delivery_attempt AS d (consumer_group, topic, partition, stage, "offset", attempts)
        SELECT $1, new.topic, new.partition, 'BATCH', new."offset", 1
          FROM unnest($2::text[], $3::int[], $4::bigint[]) AS new(topic, partition, "offset")
         ORDER BY new.topic, new.partition
        ON CONFLICT (consumer_group, topic, partition, stage)
        DO UPDATE SET "offset" = excluded."offset",
                      attempts = CASE WHEN d."offset" = excluded."offset" THEN d.attempts + 1 ELSE 1 END
        RETURNING topic, partition, attempts
    ), forgotten AS (
        DELETE FROM delivery_attempt AS d
         USING noted
         WHERE d.consumer_group = $1 AND d.topic = noted.topic AND d.partition = noted.partition
           AND d.stage = 'MESSAGE' AND noted.attempts = 1
    )
    SELECT topic, partition, attempts FROM noted
""")
# The highest offset stays: what comes before it in the same batch was survived on the way to it.
NOTE_MESSAGE = Sql("""
    INSERT INTO delivery_attempt AS d (consumer_group, topic, partition, stage, "offset", attempts)
    VALUES ($1, $2, $3, 'MESSAGE', $4, 1)
    ON CONFLICT (consumer_group, topic, partition, stage)
    DO UPDATE SET "offset" = greatest(d."offset", excluded."offset"),
                  attempts = CASE WHEN d."offset" = excluded."offset" THEN d.attempts + 1
                                  WHEN d."offset" < excluded."offset" THEN 1
                                  ELSE d.attempts END
    RETURNING CASE WHEN d."offset" = $4 THEN d.attempts ELSE 1 END
""")


class Guard:
    """Counts tries for one consumer group."""

    def __init__(self, database: Database, group: str) -> None:
        self._database = database
        self._group = group

    async def suspects(self, firsts: Sequence[Message]) -> set[Assignment]:
        """Note where each partition's first batch starts; returns those that were tried too often."""
        if not firsts:
            return set()
        topics, partitions, offsets = zip(*[(m.topic, m.partition, m.offset) for m in firsts], strict=True)
        rows = await self._database.fetch(NOTE_BATCHES, self._group, topics, partitions, offsets, lane="consumer")
        return {(row["topic"], row["partition"]) for row in rows if row["attempts"] > TRIES_MAX}

    async def deadly(self, message: Message) -> bool:
        """Note one message before its try; True where it has had its tries."""
        tries = await self._database.fetchval(
            NOTE_MESSAGE, self._group, message.topic, message.partition, message.offset, lane="consumer"
        )
        return bool(tries > TRIES_MAX)
