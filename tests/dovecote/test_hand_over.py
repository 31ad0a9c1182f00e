"""What the leader's own process commits is handed over: it leaves without a scan, once, and is never lost."""

from __future__ import annotations

import asyncpg
import pytest

from dovecote import term
from dovecote.database import Database, Transaction
from dovecote.relay import Relay
from dovecote.scan import Scan
from dovecote.testing import drained, eventually
from tests.dovecote import sample
from tests.dovecote.relays import relaying
from tests.dovecote.sample import outbox, pin, read_log, tell


async def test_what_is_handed_over_needs_no_scan(
    notes: Database, bootstrap: str, topics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With scans that find nothing, what this process says leaves all the same, each note's versions in order."""

    async def blind(*_: object, **__: object) -> list[object]:
        return []

    async with relaying(notes, bootstrap) as relay:
        await eventually(lambda: _leads(relay))
        monkeypatch.setattr(Scan, "records", blind)
        for _ in range(3):
            async with notes.transaction() as tx:
                await tell(tx, "a")
                await tell(tx, "b")
        await drained(notes)
    assert [record.key for record in await read_log(bootstrap, *topics)].count(b"a") == 3


async def test_what_a_scan_has_found_is_not_sent_again(
    notes: Database, sample_url: str, bootstrap: str, topics: list[str]
) -> None:
    """The scan may see a commit before the process that made it says so."""
    connection = await asyncpg.connect(sample_url, server_settings={"search_path": sample.NOTES_SCHEMA})
    async with relaying(notes, bootstrap) as relay:
        await eventually(lambda: _leads(relay))
        async with connection.transaction(), Transaction.adopt(connection, notes) as tx:
            await tell(tx, "early")
        notes.wakeups.ring("relay")
        await drained(notes)
        tx.committed()
        async with notes.transaction() as later:
            await tell(later, "later")
        await drained(notes)
    await connection.close()
    assert [record.key for record in await read_log(bootstrap, *topics)] == [b"early", b"later"]


async def test_what_is_too_much_to_take_over_is_found(
    notes: Database, bootstrap: str, topics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than may be in flight, on two topics in turns: scans find all of it, and each aggregate's order holds."""
    monkeypatch.setattr(term, "IN_FLIGHT_MAX", 1_000)
    async with relaying(notes, bootstrap) as relay:
        await eventually(lambda: _leads(relay))
        async with notes.transaction() as tx:
            for number in range(1_500):
                await (pin if number % 2 else tell)(tx, f"n{number // 2}")
        await drained(notes)
    rows = await outbox(notes)
    assert {row["status"] for row in rows} == {"SENT"}
    assert len(rows) == len(await read_log(bootstrap, *topics)) == 1_500


async def _leads(relay: Relay) -> bool:
    return relay.leads
