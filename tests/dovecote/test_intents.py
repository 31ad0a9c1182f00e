"""Durable intents: whatever dies, a call is made again under the same key, and one answer is recorded."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from dovecote.database import Database, Transaction
from dovecote.intents import Intent, Worker, WorkerLoop
from dovecote.sql import Sql
from dovecote.testing import eventually
from tests.dovecote import sample
from tests.dovecote.relays import end
from tests.dovecote.sample import tell
from tests.dovecote.workers import KIND, Order, outside_calls, worker_process

INTENTS = Sql("SELECT key, subject, status, attempts, due_at, leased_until FROM intent ORDER BY key")
EVENTS = Sql("SELECT aggregate_id, trace_id FROM outbox_event_record ORDER BY id")
# What another process's lease does to two of ours.
TAKE_OVER = Sql("UPDATE intent SET attempts = attempts + 1, leased_until = leased_until + interval '1 hour'")
TAKE_OVER_A = Sql("UPDATE intent SET attempts = 2, leased_until = leased_until + interval '1 hour' WHERE key = 'a'")


class Desk:
    """A worker whose outside world a test commands: what it was asked, what it answers, and when."""

    def __init__(self) -> None:
        self.asked: list[Intent] = []
        self.asked_at: list[float] = []
        self.recorded: list[tuple[str, int, str]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.silent: set[str] = set()
        self.later: dict[str, timedelta] = {}

    async def call(self, intents: Sequence[Intent]) -> AsyncIterator[tuple[Intent, str]]:
        self.asked.extend(intents)
        self.asked_at.append(asyncio.get_running_loop().time())
        await self.open.wait()
        for intent in intents:
            if intent.key not in self.silent:
                yield intent, f"answer to {msgspec.json.decode(intent.body, type=Order).what}"

    async def record(self, tx: Transaction, answers: Sequence[tuple[Intent, str]]) -> None:
        for intent, answer in answers:
            self.recorded.append((intent.key, intent.attempts, answer))
            if intent.key in self.later:
                tx.postpone(intent, until=tx.now + self.later.pop(intent.key))
            else:
                tx.settle(intent)
                await tell(tx, intent.subject, answer, because=intent)

    def worker(self, lease: timedelta = timedelta(seconds=30), **limits: int) -> Worker[str]:
        return Worker(KIND, self.call, self.record, lease=lease, **limits)


@pytest.fixture
def desk() -> Desk:
    """An outside world."""
    return Desk()


@asynccontextmanager
async def working(database: Database, worker: Worker[str]) -> AsyncIterator[None]:
    """A worker's loop for as long as the block."""
    task = asyncio.create_task(WorkerLoop(database, worker).run())
    try:
        yield
    finally:
        await end(task)


async def intend(database: Database, *keys: str, due: timedelta = timedelta(0)) -> None:
    """Write intents as a handler does."""
    async with database.transaction() as tx:
        for key in keys:
            tx.intend(KIND, key=key, subject=f"note-{key}", body=Order(what=key), due=tx.now + due)


async def all_done(database: Database) -> bool:
    """A condition: nothing is left to do."""
    return all(row["status"] == "DONE" for row in await database.fetch(INTENTS))


async def test_an_intent_is_called_and_recorded_once(notes: Database, desk: Desk) -> None:
    """Intents of one transaction share a call; answer, event and DONE are one transaction; the trace goes on."""
    async with working(notes, desk.worker()):
        await intend(notes, "a", "b")
        await eventually(lambda: all_done(notes))
    assert sorted(desk.recorded) == [("a", 1, "answer to a"), ("b", 1, "answer to b")]
    said = {row["aggregate_id"]: row["trace_id"] for row in await notes.fetch(EVENTS)}
    assert said == {intent.subject: intent.trace_id for intent in desk.asked}


async def test_one_key_is_one_call(notes: Database, desk: Desk) -> None:
    """A key that is known already, in the same transaction, an earlier one, or done, changes nothing."""
    async with working(notes, desk.worker()):
        await intend(notes, "a", "a")
        await intend(notes, "a")
        await eventually(lambda: all_done(notes))
        await intend(notes, "a")
        await intend(notes, "b")
        await eventually(lambda: all_done(notes))
    assert sorted(key for key, _, _ in desk.recorded) == ["a", "b"]


async def test_a_rollback_intends_nothing(notes: Database) -> None:
    """An intent of a transaction that rolls back does not exist."""
    with pytest.raises(ZeroDivisionError):
        async with notes.transaction() as tx:
            tx.intend(KIND, key="a", subject="a", body=Order(what="a"))
            await tx.flush()
            raise ZeroDivisionError
    assert await notes.fetch(INTENTS) == []


async def test_a_crash_in_the_call_repeats_the_same_key(
    notes: Database, sample_url: str, desk: Desk, tmp_path: Path
) -> None:
    """A process killed (SIGKILL) after it called out: another calls again under the same key when the lease ends."""
    async with worker_process(sample_url, tmp_path / "calls", lease_s=1.0) as process:
        await intend(notes, "pay-1")
        await eventually(lambda: outside_calls(tmp_path / "calls"))
        process.send_signal(signal.SIGKILL)
        async with working(notes, desk.worker()):
            await eventually(lambda: all_done(notes))
    assert await outside_calls(tmp_path / "calls") == ["pay-1 1"]
    ((key, attempts, answer),) = desk.recorded
    assert (key, answer, attempts > 1) == ("pay-1", "answer to pay-1", True)


async def test_what_is_not_answered_is_leased_again(notes: Database, desk: Desk) -> None:
    """A call that says nothing of an intent leaves it to the next lease; its neighbours are done."""
    desk.silent = {"b"}
    async with working(notes, desk.worker(timedelta(seconds=0.3))):
        await intend(notes, "a", "b")
        await eventually(lambda: _asked(desk, "b", times=2))
        desk.silent = set()
        await eventually(lambda: all_done(notes))
    assert [key for key, _, _ in desk.recorded] == ["a", "b"]


async def _asked(desk: Desk, key: str, *, times: int) -> bool:
    return [intent.key for intent in desk.asked].count(key) >= times


async def test_a_zombies_answer_is_dropped(notes: Database) -> None:
    """A worker whose lease another took over meanwhile leaves nothing when its answer comes at last."""
    zombie = Desk()
    zombie.open.clear()
    async with working(notes, zombie.worker(timedelta(seconds=0.2))):
        await intend(notes, "a", "b")
        await eventually(lambda: _asked(zombie, "b", times=1))
        await notes.fetch(TAKE_OVER)
        zombie.open.set()
        await intend(notes, "c")
        await eventually(lambda: _one_done(notes))
    assert [row["status"] for row in await notes.fetch(INTENTS)] == ["PENDING", "PENDING", "DONE"]
    assert [row["aggregate_id"] for row in await notes.fetch(EVENTS)] == ["note-c"]


async def test_one_lost_lease_spoils_no_neighbour(notes: Database, desk: Desk) -> None:
    """Of two answers recorded together one has lost its lease: the other is recorded, and only the other."""
    desk.open.clear()
    async with working(notes, desk.worker()):
        await intend(notes, "a", "b")
        await eventually(lambda: _asked(desk, "b", times=1))
        await notes.fetch(TAKE_OVER_A)
        desk.open.set()
        await eventually(lambda: _one_done(notes))
    assert [row["status"] for row in await notes.fetch(INTENTS)] == ["PENDING", "DONE"]
    assert [row["aggregate_id"] for row in await notes.fetch(EVENTS)] == ["note-b"]


async def test_a_lost_lease_is_not_given_back(notes: Database, desk: Desk) -> None:
    """A worker that lost its lease and has no final answer leaves the other's lease as it is."""
    desk.open.clear()
    desk.later = dict.fromkeys(("a", "b"), timedelta(0))
    async with working(notes, desk.worker()):
        await intend(notes, "a", "b")
        await eventually(lambda: _asked(desk, "b", times=1))
        await notes.fetch(TAKE_OVER_A)
        desk.open.set()
        await eventually(lambda: _one_done(notes))
    assert next((row["attempts"], row["leased_until"] is None) for row in await notes.fetch(INTENTS)) == (2, False)


async def _one_done(database: Database) -> bool:
    return "DONE" in [row["status"] for row in await database.fetch(INTENTS)]


async def _recorded(desk: Desk, key: str) -> bool:
    return key in [recorded for recorded, _, _ in desk.recorded]


async def test_a_call_that_outlives_its_lease_is_recorded(notes: Database, desk: Desk) -> None:
    """A slow call of this process is not made twice at once, and its answer counts though the lease ended."""
    desk.open.clear()
    async with working(notes, desk.worker(timedelta(seconds=0.2))):
        await intend(notes, "a")
        await eventually(lambda: _leased(notes, times=3))
        desk.open.set()
        await eventually(lambda: all_done(notes))
    assert [intent.key for intent in desk.asked] == ["a"]


async def _leased(database: Database, *, times: int) -> bool:
    (row,) = await database.fetch(INTENTS)
    return bool(row["attempts"] >= times)


async def test_a_postponed_intent_is_asked_again_under_its_key(notes: Database, desk: Desk) -> None:
    """Postpone gives the lease back and keeps the key; the next call comes when it is due, not before."""
    desk.later = {"a": timedelta(seconds=0.5)}
    async with working(notes, desk.worker()):
        await intend(notes, "a")
        await eventually(lambda: all_done(notes))
    first, second = desk.asked_at
    assert second - first > 0.4
    assert desk.recorded == [("a", 1, "answer to a"), ("a", 2, "answer to a")]


async def test_an_intent_waits_until_it_is_due(notes: Database, desk: Desk) -> None:
    """An intent with a due time in the future is left alone until then."""
    async with working(notes, desk.worker()):
        await intend(notes, "later", due=timedelta(hours=1))
        await intend(notes, "now")
        await eventually(lambda: _recorded(desk, "now"))
        assert not await _recorded(desk, "later")


async def test_a_failed_record_is_asked_again(notes: Database, desk: Desk) -> None:
    """When recording raises, nothing of it stays, and the same key is asked again after the lease."""
    failures = 1
    record = desk.record

    async def fragile(tx: Transaction, answers: Sequence[tuple[Intent, str]]) -> None:
        nonlocal failures
        await record(tx, answers)
        if failures:
            failures -= 1
            raise ZeroDivisionError

    worker = Worker(KIND, desk.call, fragile, lease=timedelta(seconds=0.3))
    async with working(notes, worker):
        await intend(notes, "a")
        await eventually(lambda: all_done(notes))
    assert [intent.attempts for intent in desk.asked] == [1, 2]
    assert len(await notes.fetch(EVENTS)) == 1


async def test_a_call_that_raises_keeps_the_loop(notes: Database, desk: Desk) -> None:
    """A call may raise against its contract: the others' answers count, and the intents come back."""

    async def wild(intents: Sequence[Intent]) -> AsyncIterator[tuple[Intent, str]]:
        async for pair in desk.call(intents):
            yield pair
            if len(desk.asked) == len(intents):
                raise ZeroDivisionError

    async with working(notes, Worker(KIND, wild, desk.record, lease=timedelta(seconds=0.3))):
        await intend(notes, "a", "b")
        await eventually(lambda: all_done(notes))
    assert sorted(key for key, _, _ in desk.recorded) == ["a", "b"]


async def test_no_more_are_in_flight_than_allowed(notes: Database, desk: Desk) -> None:
    """Leases stop at in_flight_max and go on as answers come; every intent is done in the end."""
    desk.open.clear()
    async with working(notes, desk.worker(batch_max=10, in_flight_max=25)):
        await intend(notes, *(f"k{number:03}" for number in range(100)))
        await eventually(lambda: _asked_in_all(desk, 25))
        assert len(desk.asked) == 25
        desk.open.set()
        await eventually(lambda: all_done(notes))
    assert len(desk.asked) == 100


async def _asked_in_all(desk: Desk, number: int) -> bool:
    return len(desk.asked) >= number


async def test_two_processes_share_the_work(notes: Database, sample_url: str, desk: Desk) -> None:
    """Two loops on one table never call one key at the same time."""
    other = Desk()
    async with (
        sample.connected(sample_url) as elsewhere,
        working(notes, desk.worker(batch_max=5)),
        working(elsewhere, other.worker(batch_max=5)),
    ):
        await intend(notes, *(f"k{number:03}" for number in range(60)))
        await eventually(lambda: all_done(notes))
    assert sorted(intent.key for intent in desk.asked + other.asked) == [f"k{number:03}" for number in range(60)]
