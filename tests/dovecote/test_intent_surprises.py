"""An answer that cannot be recorded: its neighbours' answers are, and it alone is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest

from dovecote.database import Database, Transaction
from dovecote.errors import UnavailableError
from dovecote.intents import Intent, Worker, WorkerLoop
from dovecote.sql import Sql
from dovecote.testing import eventually
from tests.dovecote.relays import end
from tests.dovecote.sample import NoteTold, tell

KIND = "ask"
OPEN = Sql("SELECT key, attempts FROM intent WHERE status = 'PENDING' ORDER BY key")
EVENTS = Sql("SELECT aggregate_id FROM outbox_event_record ORDER BY id")


class Books:
    """Records answers; a test says which of them it cannot take, and when the world fails."""

    def __init__(self) -> None:
        self.poison: set[str] = set()
        self.outages = 0

    async def call(self, intents: Sequence[Intent]) -> AsyncIterator[tuple[Intent, str]]:
        for intent in intents:
            yield intent, "yes"

    async def record(self, tx: Transaction, answers: Sequence[tuple[Intent, str]]) -> None:
        for intent, _ in answers:
            await tell(tx, intent.subject, because=intent)
            tx.settle(intent)
        if self.poison.intersection(intent.key for intent, _ in answers):
            raise ZeroDivisionError
        if self.outages and len(answers) < 4:
            self.outages -= 1
            raise UnavailableError("The database is away for a moment.")


@pytest.mark.parametrize(("guilty", "outages"), [("k0", 0), ("k3", 0), ("k6", 0), ("k3", 3)])
async def test_one_answer_that_cannot_be_recorded_spoils_no_neighbour(
    notes: Database, guilty: str, outages: int
) -> None:
    """Seven answers, one breaks the books, the world fails in between too: six count once, one is asked again."""
    books = Books()
    books.poison, books.outages = {guilty}, outages
    keys = [f"k{number}" for number in range(7)]
    async with notes.transaction() as tx:
        for key in keys:
            tx.intend(KIND, key=key, subject=f"note-{key}", body=NoteTold(note_id=key, version=1, text=""))
    loop = WorkerLoop(notes, Worker(KIND, books.call, books.record, lease=timedelta(seconds=0.4)))

    async def only_the_guilty_is_open() -> bool:
        return [row["key"] for row in await notes.fetch(OPEN)] == [guilty]

    async def it_is_asked_again() -> bool:
        return any(row["attempts"] > 1 for row in await notes.fetch(OPEN))

    task = asyncio.create_task(loop.run())
    try:
        await eventually(only_the_guilty_is_open)
        await eventually(it_is_asked_again)
        books.poison = set()
        await eventually(lambda: _nothing_open(notes))
    finally:
        await end(task)
    assert sorted(row["aggregate_id"] for row in await notes.fetch(EVENTS)) == [f"note-{key}" for key in keys]


async def _nothing_open(database: Database) -> bool:
    return await database.fetch(OPEN) == []
