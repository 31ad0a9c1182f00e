"""How far back a lease looks: beside a transaction that stays open, what was due is walked again by each."""

from __future__ import annotations

from datetime import timedelta

from dovecote import intents
from dovecote.database import Database
from dovecote.intents import WorkerLoop
from tests.dovecote.test_intents import Desk, intend


async def test_a_lease_looks_no_further_back_than_it_must(notes: Database) -> None:
    """Who is behind goes on where the last lease began; all of it is looked at now and then."""
    for number in range(6):
        await intend(notes, f"k{number}", due=timedelta(minutes=number - 10))
    loop = WorkerLoop(notes, Desk().worker(batch_max=2))
    seen = []
    for _ in range(4):
        leased = await loop._lease()
        seen.append([intent.key for intent in leased])
        behind = min((intent.due_at for intent in leased), default=notes.now)
        assert abs(loop._since - (behind - intents.OVERLAP)) < timedelta(seconds=1)
    assert [sorted(keys) for keys in seen] == [["k0", "k1"], ["k2", "k3"], ["k4", "k5"], []]
    await intend(notes, "forgotten", due=timedelta(minutes=-10))
    assert await loop._lease() == []
    loop._look_back_at = notes.clock.monotonic()
    assert [intent.key for intent in await loop._lease()] == ["forgotten"]
    assert loop._look_back_at > notes.clock.monotonic() + intents.LOOK_BACK_SECONDS / 2
