"""Periodic jobs: one process at a time runs each, and none is forgotten when a run fails or dies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta

from dovecote.database import Database
from dovecote.schedule import Job, JobContext, Scheduler
from dovecote.sql import Sql
from dovecote.testing import eventually
from tests.dovecote import sample
from tests.dovecote.relays import end

LEASED = Sql("SELECT name, leased_until IS NOT NULL AS leased FROM periodic_job")
PLANT = Sql("INSERT INTO periodic_job (name, next_run_at, leased_until) VALUES ($1, $2, $3) RETURNING name")
END_LEASE = Sql("UPDATE periodic_job SET leased_until = $1 RETURNING name")
EVERY = timedelta(seconds=0.1)


class Turns:
    """A job that notes who ran it, and whether two ran it at once."""

    def __init__(self) -> None:
        self.runs: list[Database] = []
        self.running = 0
        self.overlapped = False
        self.failures = 0

    async def run(self, context: JobContext) -> None:
        self.running += 1
        self.overlapped |= self.running > 1
        try:
            async with context.database.transaction("work") as tx:
                await sample.tell(tx, "job")
            self.runs.append(context.database)
            if self.failures:
                self.failures -= 1
                raise ZeroDivisionError
        finally:
            self.running -= 1


async def no_lag() -> int:
    return 0


def start(database: Database, job: Job) -> asyncio.Task[None]:
    """A process's scheduler."""
    return asyncio.create_task(Scheduler(JobContext(database, no_lag), [job]).run())


def ran(turns: Turns, times: int) -> Callable[[], Awaitable[bool]]:
    """A condition: the job ran so often."""

    async def condition() -> bool:
        return len(turns.runs) >= times

    return condition


async def test_of_three_schedulers_one_runs_a_turn(sample_url: str) -> None:
    """Three processes with one job: never two at once, and together no more turns than one would take."""
    turns = Turns()
    job = Job("tidy", EVERY, turns.run)
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        databases = [await stack.enter_async_context(sample.connected(sample_url)) for _ in range(3)]
        started = loop.time()
        tasks = [start(database, job) for database in databases]
        await eventually(ran(turns, 10))
        for task in tasks:
            await end(task)
    assert not turns.overlapped
    assert len(turns.runs) <= 1 + (loop.time() - started) / (EVERY.total_seconds() * 0.9)


async def test_another_takes_over_when_one_stops(sample_url: str) -> None:
    """The job goes on in a second process when the first ends."""
    turns = Turns()
    async with sample.connected(sample_url) as first, sample.connected(sample_url) as second:
        one = start(first, Job("tidy", EVERY, turns.run))
        await eventually(ran(turns, 2))
        other = start(second, Job("tidy", EVERY, turns.run))
        await end(one)

        async def second_runs() -> bool:
            return second in turns.runs

        await eventually(second_runs)
        await end(other)


async def test_a_failing_job_runs_again(notes: Database) -> None:
    """A run that raises gives its lease back and the next turn comes; the scheduler lives."""
    turns = Turns()
    turns.failures = 2
    task = start(notes, Job("tidy", EVERY, turns.run))
    await eventually(ran(turns, 4))
    await end(task)
    assert turns.failures == 0


async def test_a_job_whose_process_died_waits_for_its_lease(notes: Database) -> None:
    """A lease that a dead process left holds the job until it ends, not for ever."""
    turns, other = Turns(), Turns()
    await notes.fetch(PLANT, "tidy", notes.now - EVERY, notes.now + timedelta(hours=1))
    tasks = [start(notes, Job("tidy", EVERY, turns.run)), start(notes, Job("other", EVERY, other.run))]
    await eventually(ran(other, 4))
    assert turns.runs == []
    await notes.fetch(END_LEASE, notes.now - EVERY)
    await eventually(ran(turns, 1))
    for task in tasks:
        await end(task)


async def test_a_run_that_outlived_its_lease_gives_nobody_elses_back(notes: Database) -> None:
    """When another process took the job over meanwhile, the end of the old run leaves the new lease alone."""
    hold, begun = asyncio.Event(), asyncio.Event()

    async def slow(_context: JobContext) -> None:
        begun.set()
        await hold.wait()

    task = start(notes, Job("tidy", timedelta(hours=1), slow))
    await asyncio.wait_for(begun.wait(), 10)
    await notes.fetch(END_LEASE, notes.now + timedelta(hours=2))
    hold.set()
    done = start(notes, Job("other", EVERY, (turns := Turns()).run))
    await eventually(ran(turns, 2))
    assert {row["name"]: row["leased"] for row in await notes.fetch(LEASED)}["tidy"]
    for started in (task, done):
        await end(started)
