"""Periodic jobs: each runs in one process at a time, whichever gets its turn first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from dovecote import telemetry
from dovecote.errors import is_environment
from dovecote.sql import Sql

if TYPE_CHECKING:
    from dovecote.database import Database

# A job whose process died is taken over when its lease ends.
LEASE = timedelta(minutes=1)

CLAIM = Sql("""
    INSERT INTO periodic_job AS j (name, next_run_at, leased_until)
    VALUES ($1, $2::timestamptz + $3::interval, $2::timestamptz + $4::interval)
    ON CONFLICT (name) DO UPDATE SET next_run_at = excluded.next_run_at, leased_until = excluded.leased_until
     WHERE j.next_run_at <= $2 AND (j.leased_until IS NULL OR j.leased_until <= $2)
    RETURNING leased_until
""")
# Only the lease that was taken: one that ended while the job ran may be another process's by now.
RELEASE = Sql("UPDATE periodic_job SET leased_until = NULL WHERE name = $1 AND leased_until = $2")


@dataclass(frozen=True)
class JobContext:
    """What a job may use: its service's database, and how far the service's group is behind."""

    database: Database
    lag: Callable[[], Awaitable[int]]


@dataclass(frozen=True)
class Job:
    """Something done every so often, in one process of the service."""

    name: str
    every: timedelta
    run: Callable[[JobContext], Awaitable[None]]


class Scheduler:
    """Runs the jobs of a service in this process, each when its turn has come and nobody else took it."""

    def __init__(self, context: JobContext, jobs: Sequence[Job]) -> None:
        self._context = context
        self._jobs = jobs

    async def run(self) -> None:
        """Run until cancelled; a job that fails runs again at its next turn."""
        async with asyncio.TaskGroup() as group:
            for job in self._jobs:
                group.create_task(self._turns(job))

    async def _turns(self, job: Job) -> None:
        while True:
            try:
                await self._turn(job)
            except Exception as error:  # noqa: BLE001 (a loop's edge: one turn's failure is not the end of the job)
                if is_environment(error):
                    telemetry.waiting(f"job {job.name}", error)
                else:
                    telemetry.job_failed(job.name, error)
            await asyncio.sleep(job.every.total_seconds())

    async def _turn(self, job: Job) -> None:
        database = self._context.database
        # A little early counts as due: timers of two processes never agree to the millisecond. No transaction around
        # one statement: two round trips a turn in place of six, for a dozen jobs a second.
        lease = await database.fetchval(CLAIM, job.name, database.now, job.every * 0.9, LEASE, lane="work")
        if lease is None:
            return
        try:
            await job.run(self._context)
        finally:
            await database.fetchval(RELEASE, job.name, lease, lane="work")
