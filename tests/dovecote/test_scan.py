"""The scan by itself: it walks nothing twice, and finds what it passed over. No sweep helps it in these tests."""

from __future__ import annotations

import pytest

from dovecote import floor, term
from dovecote.database import Database
from dovecote.scan import Scan
from dovecote.settled import Settled
from dovecote.testing import drained, eventually
from tests.dovecote.relays import epoch, relaying
from tests.dovecote.sample import pin, tell


async def tell_some(database: Database, *notes: str) -> None:
    """A transaction that says one event of each note."""
    async with database.transaction("work") as tx:
        for note in notes:
            await tell(tx, note)


async def test_what_was_found_is_not_walked_again(notes: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later scan finds what is new, what became visible late, and what it is told to look at again: nothing else."""
    monkeypatch.setattr(notes.clock, "monotonic", lambda: 5.0)
    scan, connection = Scan(notes, Settled(1)), await notes.direct()

    async def found() -> list[int]:
        records = await scan.records(connection, 1000, in_flight=(), held=(), paused=())
        return [record.id for record in records]

    try:
        await tell_some(notes, "a", "b", "c")
        first = await found()
        assert len(first) == 3
        assert await found() == []
        async with notes.transaction() as late:
            await tell(late, "late")
            await late.flush()
            await tell_some(notes, "d")
            (after,) = await found()
        assert await found() == [after - 1, after]
        assert await found() == []
        scan.look_again([first[2], first[1]])
        assert await found() == [first[1], first[2], after - 1, after]
    finally:
        await connection.close()


async def test_who_was_held_leaves_behind_his_predecessor(
    notes: Database, bootstrap: str, topics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An aggregate's second event, on another topic, waits for the first; when that has left the scan finds it."""
    monkeypatch.setattr(floor, "SWEEP_SECONDS", 1e6)
    monkeypatch.setattr(floor, "SWEEP_SECONDS_MAX", 1e6)
    monkeypatch.setattr(term, "SETTLE_SECONDS", 1e6)
    async with relaying(notes, bootstrap):
        await eventually(lambda: epoch(notes))
        await tell_some(notes, "first")
        await drained(notes)
        for number in range(20):
            async with notes.transaction("work") as tx:
                await tell(tx, f"n{number}")
                await pin(tx, f"n{number}")
        await drained(notes)
