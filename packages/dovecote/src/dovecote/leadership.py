"""One active relay for each service: a session advisory lock, and a row that says who leads and since when.

The lock decides; the row fences. A leader that was frozen past its beat has its session ended by the standby,
and its marks carry an old epoch, so they touch nothing.
"""

from __future__ import annotations

import zlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dovecote.errors import LeadershipLost
from dovecote.sql import Sql

if TYPE_CHECKING:
    from dovecote.database import Database

BEAT_SECONDS = 2.0
STALE_AFTER = timedelta(seconds=5)
TRY_SECONDS = 0.8

TRY_LOCK = Sql("SELECT pg_try_advisory_lock($1)")
TAKE_OFFICE = Sql("""
    INSERT INTO relay_leader AS l (single, epoch, pid, beat_at) VALUES (true, 1, pg_backend_pid(), $1)
    ON CONFLICT (single) DO UPDATE SET epoch = l.epoch + 1, pid = excluded.pid, beat_at = excluded.beat_at
    RETURNING epoch
""")
BEAT = Sql("UPDATE relay_leader SET beat_at = $2 WHERE single AND epoch = $1")
IS_STALE = Sql("SELECT EXISTS (SELECT 1 FROM relay_leader WHERE single AND beat_at < $1)")
# Ending a session takes the rights of the user who logged in; the service's role has none.
AS_LOGIN_USER = Sql("SELECT set_config('role', 'none', true)")
END_STALE = Sql("""
    SELECT pg_terminate_backend(l.pid)
      FROM relay_leader AS l
      JOIN pg_locks AS held ON held.pid = l.pid AND held.locktype = 'advisory' AND held.granted
     WHERE l.single AND l.beat_at < $1
""")


def lock_key(schema: str) -> int:
    """The advisory lock's number: the same in every process of a service, in one database."""
    return zlib.crc32(f"dovecote.relay:{schema}".encode())


class Leadership:
    """A try at leading, on a connection that must stay open: its end is the end of the term."""

    def __init__(self, database: Database, connection: Any, key: int) -> None:
        self._database = database
        self._connection = connection
        self._key = key

    async def take(self) -> int | None:
        """The new epoch, or None while another leads (never waits: a blocked waiter would pin vacuum)."""
        if await self._connection.fetchval(TRY_LOCK.text, self._key):
            return int(await self._connection.fetchval(TAKE_OFFICE.text, self._database.now))
        stale = self._database.now - STALE_AFTER
        if await self._connection.fetchval(IS_STALE.text, stale):
            async with self._connection.transaction():
                await self._connection.execute(AS_LOGIN_USER.text)
                await self._connection.execute(END_STALE.text, stale)
        return None


async def beat(connection: Any, database: Database, epoch: int) -> None:
    """Say that the leader lives. Raises LeadershipLost where a later epoch has begun."""
    if await connection.execute(BEAT.text, epoch, database.now) != "UPDATE 1":
        raise LeadershipLost(f"Epoch {epoch} of the relay is over.")
