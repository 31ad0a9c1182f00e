"""Sessions: nobody sleeps in a transaction, no lock outlives its holder's office, and no two ever wait in a circle."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from dovecote.leadership import lock_key
from ecom.audit import messaging_store as store
from ecom.audit.evidence import GRACE, Evidence

# No transaction of ours waits for anything but its own statements.
IDLE_MAX = timedelta(seconds=5)


async def idle_in_transaction(evidence: Evidence) -> list[str]:
    """I22: no session of ours has been idle in a transaction for longer than any has reason to."""
    rows = []
    for name, service in evidence.services.items():
        async with service.database.transaction() as tx:
            await tx.execute(store.AS_LOGIN_USER)
            rows += [
                f"{name}, session {row['pid']}: idle in a transaction since {row['state_change']:%Y-%m-%dT%H:%M:%SZ}"
                for row in await tx.fetch(store.SESSIONS_IDLE_IN_TRANSACTION, name, evidence.now - IDLE_MAX)
            ]
    return rows


async def orphan_locks(evidence: Evidence) -> list[str]:
    """I22: a relay's lock is held by the leader that the table names, and that one beats."""
    return [
        f"{name}, session {row['pid']}: holds the relay's lock, the leader is {row['leader']} (beat {row['beat_at']})"
        for name, service in evidence.services.items()
        for row in await service.database.fetch(store.LOCKS_ORPHANED, lock_key(service.schema), evidence.now - GRACE)
    ]


async def deadlocked(evidence: Evidence) -> list[str]:
    """I22: the databases counted no deadlock between two looks. Older ones may be anybody's."""
    return [
        f"database {place}: {count - first.deadlocks[place]} deadlocks"
        for first, after in pairwise(evidence.vitals)
        for place, count in after.deadlocks.items()
        if count > first.deadlocks.get(place, count)
    ]
