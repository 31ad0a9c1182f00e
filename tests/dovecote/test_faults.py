"""Servers that go away and come back: nothing is counted against an event, nothing is lost, no hand is needed."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dovecote.database import Database
from dovecote.errors import UnavailableError
from dovecote.kafka import Admin
from dovecote.migrate import migrate
from dovecote.testing import drained, eventually
from ecom.local import Home, Servers, servers
from ecom.local.kafka import start_kafka
from ecom.local.place import discard
from ecom.local.postgres import start_postgres
from ecom.local.servers import BOOTSTRAP, DATABASE_URL
from tests.dovecote import sample
from tests.dovecote.conftest import new_database
from tests.dovecote.relays import relaying
from tests.dovecote.sample import outbox, read_log, tell


@pytest.fixture(scope="module")
async def own() -> AsyncIterator[Servers]:
    """Servers of this module's own, to be stopped without hurting another test."""
    folder = Path(tempfile.mkdtemp(prefix="dovecote-faults-"))
    folder.chmod(0o755)
    home = Home(folder / "home")
    environ = {name: value for name, value in os.environ.items() if name not in {DATABASE_URL, BOOTSTRAP}}
    async with servers(home, environ) as running:
        yield running
    discard(home)
    folder.rmdir()


@pytest.fixture
async def own_notes(own: Servers, prefix: str) -> AsyncIterator[Database]:
    """The notes service on the module's own servers, its topics made."""
    topics = [prefix + name for name in sample.contracts()]
    await Admin(own.bootstrap).ensure_topics(topics, partitions=3, replication=1)
    async with new_database(own.database_url, template="template1") as url:
        await asyncio.to_thread(migrate, url, schema=sample.NOTES_SCHEMA, folders=[sample.MIGRATIONS])
        async with sample.connected(url, prefix=prefix) as database:
            yield database


async def test_an_absent_broker_costs_no_attempt(own: Servers, own_notes: Database, prefix: str) -> None:
    """O10: Kafka stops and starts: its backlog drains in order, no attempt is counted, no record FAILED.

    A relay that is told to stop meanwhile ends within seconds; the one after it sends what was left.
    """
    assert own.kafka is not None
    loop = asyncio.get_running_loop()
    async with relaying(own_notes, own.bootstrap, attempts_max=1):
        async with own_notes.transaction() as tx:
            await tell(tx, "before")
        await drained(own_notes)
        await own.kafka.stop()
        for number in range(30):
            async with own_notes.transaction() as tx:
                await tell(tx, f"n{number % 3}")
        stopping = loop.time()
    assert loop.time() - stopping < 9
    async with relaying(own_notes, own.bootstrap, attempts_max=1):
        restarted = await start_kafka(own.home)
        own.kafka.popen, own.kafka.record = restarted.popen, restarted.record
        await drained(own_notes, seconds=30)
    rows = await outbox(own_notes)
    assert {(row["status"], row["attempts"], row["last_error"]) for row in rows} == {("SENT", 0, None)}
    log = await read_log(own.bootstrap, f"{prefix}note.told.v1")
    for note in (b"n0", b"n1", b"n2"):
        sequences = [int(dict(one.headers)["aggregate-sequence"] or b"") for one in log if one.key == note]
        assert list(dict.fromkeys(sequences)) == [*range(1, 11)]


async def test_a_restarted_database_is_waited_for(own: Servers, own_notes: Database, prefix: str) -> None:
    """F4: while PostgreSQL is away callers get UnavailableError; back, the pool, the relay and its lock work again."""
    assert own.postgres is not None
    loop = asyncio.get_running_loop()
    async with relaying(own_notes, own.bootstrap) as relay:
        async with own_notes.transaction() as tx:
            await tell(tx, "before")
        await drained(own_notes)
        await own.postgres.stop()
        for _ in range(3):
            with pytest.raises(UnavailableError):
                async with own_notes.transaction() as tx:
                    await tell(tx, "during")
        restarted = await start_postgres(own.home)
        own.postgres.popen, own.postgres.record = restarted.popen, restarted.record
        back = loop.time()

        async def works_again() -> bool:
            try:
                async with own_notes.transaction() as tx:
                    await tell(tx, "after")
            except UnavailableError:
                return False
            return True

        await eventually(works_again)
        await drained(own_notes)
        assert relay.leads
        assert loop.time() - back < 10
    log = await read_log(own.bootstrap, f"{prefix}note.told.v1")
    assert {record.key for record in log} == {b"before", b"after"}
    assert {row["attempts"] for row in await outbox(own_notes)} == {0}
