"""The real PostgreSQL of a simulation: one database a process, sessions that are kept from run to run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psycopg
from psycopg import sql

from dovecote.migrate import migrate
from dovecote.service import Blueprint
from ecom.local import postgres
from ecom.local.place import temporary_home

MEMORY = Path("/dev/shm")
ROOM_BYTES = 2 << 30
# Before a statement is set aside because it waits, it has looked for a deadlock: so it is always the last that loses.
DEADLOCK_MS = 2
SLEEPS = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
# Nothing here outlives the run, and a crash in a simulation is never one of the server.
SETTINGS: Mapping[str, str] = {
    **postgres.SETTINGS,
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "deadlock_timeout": f"{DEADLOCK_MS}ms",
}
# One plan for each statement: it is faster here, and the same in every run.
SESSION = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "jit": "off"}


def _has_room(folder: Path) -> bool:
    """Whether a database fits there; a container's memory folder often holds no more than 64 MB."""
    return folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > ROOM_BYTES


def _state(pid: int) -> str:
    """What a process does, by the kernel's letter (proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@asynccontextmanager
async def own_server() -> AsyncIterator[str]:
    """A server in memory, where the machine lets us; its URL."""
    before = tempfile.tempdir
    tempfile.tempdir = str(MEMORY) if _has_room(MEMORY) else None
    try:
        with temporary_home() as home, home.hold():
            running = await postgres.start_postgres(home, settings=SETTINGS)
            try:
                yield postgres.near_url(running.record)  # a step costs a fifth less than over the loopback
            finally:
                _wake(postgres.url(running.record))
                await running.stop()
    finally:
        tempfile.tempdir = before


def new_database(url: str, name: str, blueprints: Sequence[Blueprint]) -> str:
    """A database with every service's schema; its URL."""
    with psycopg.connect(url, autocommit=True) as control:
        control.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        control.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    own = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    for blueprint in blueprints:
        migrate(own, schema=blueprint.schema, folders=[blueprint.migrations])
    return own


def _wake(url: str) -> None:
    """Let all of a server's sessions run: a killed worker may leave one halted, for which the server would wait."""
    with contextlib.suppress(psycopg.Error, ProcessLookupError), psycopg.connect(url) as control:
        for (pid,) in control.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"):
            os.kill(pid, signal.SIGCONT)


def _beside_us(pid: int) -> None:
    """A session runs on our own core: it works while we wait and the other way round, and waking another core costs
    a sixth of a run."""
    os.sched_setaffinity(pid, os.sched_getaffinity(0))


class _Session(asyncpg.Connection):  # type: ignore[misc]
    """A session whose statements nobody cancels: where one is given up, the whole session is."""

    def _cancel_current_command(self, _waiter: object) -> None: ...


class Server:
    """Sessions by schema, kept warm, and one control session that tells who waits for whom."""

    def __init__(self, url: str, schemas: Sequence[str]) -> None:
        self.url = url
        self._schemas = schemas
        self._free: dict[str, list[Any]] = {schema: [] for schema in schemas}
        self._stopped: set[int] = set()
        self._control = psycopg.connect(url, autocommit=True)
        _beside_us(self._control.info.backend_pid)
        self._reset = self._reset_statement()

    async def session(self, schema: str) -> Any:
        """A session that works in a schema, in no transaction."""
        free = self._free[schema]
        return free.pop() if free else await self._connect(schema)

    def give_back(self, schema: str, session: Any) -> None:
        """A session that is in no transaction and holds no lock."""
        if not session.is_closed():
            self._free[schema].append(session)

    def blocked(self, pid: int) -> bool:
        """Whether a session waits for another's lock."""
        row = self._control.execute("SELECT pg_blocking_pids(%s)", (pid,)).fetchone()
        return bool(row and row[0])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """A question about all schemas at once, of what is committed."""
        return self._control.execute(query).fetchall()

    def stop(self, pid: int) -> bool:
        """Halt the process of a session that waits for a lock; False where it waits for none any more.

        It must hold none of the latches that all need, as it does while it looks for a deadlock: so it has to be seen
        asleep, long after it has looked.
        """
        while self.blocked(pid):
            time.sleep(2 * DEADLOCK_MS / 1000)
            if self._control.execute(SLEEPS, (pid,)).fetchone() and _state(pid) == "S":
                os.kill(pid, signal.SIGSTOP)
                self._stopped.add(pid)
                return True
        return False

    def go_on(self, pid: int) -> None:
        """Let a halted process run again."""
        if pid in self._stopped:
            self._stopped.discard(pid)
            os.kill(pid, signal.SIGCONT)

    def end(self, pid: int) -> None:
        """End a session that is in the middle of a statement."""
        self.go_on(pid)
        self._control.execute("SELECT pg_terminate_backend(%s, 2000)", (pid,))

    def clear(self) -> None:
        """Forget all that a run has written; numbers begin at one again."""
        self._control.execute(self._reset)

    def rewrite(self) -> None:
        """Give the dead rows of many runs back."""
        names = sql.SQL(", ").join(sql.Identifier(*name) for name in self._tables())
        self._control.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY").format(names))

    def close(self) -> None:
        """The sessions end with the process."""
        self._control.close()

    async def warm(self, sessions: int) -> None:
        """Open sessions before they are needed."""
        for schema in self._schemas:
            opened = await asyncio.gather(*(self._connect(schema) for _ in range(sessions)))
            self._free[schema].extend(opened)

    async def _connect(self, schema: str) -> Any:
        session = await asyncpg.connect(
            self.url,
            server_settings={**SESSION, "search_path": schema, "application_name": f"simulated {schema}"},
            timeout=None,
            connection_class=_Session,
            statement_cache_size=1000,
            max_cached_statement_lifetime=0,  # its timers would run on simulated time
        )
        _beside_us(session.get_server_pid())
        return session

    def _tables(self) -> list[tuple[str, str]]:
        rows = self._control.execute(
            """
            SELECT schemaname, tablename FROM pg_tables
             WHERE schemaname = ANY(%s) AND tablename NOT LIKE '%%yoyo%%' ORDER BY 1, 2
            """,
            (list(self._schemas),),
        ).fetchall()
        return [(schema, table) for schema, table in rows]

    def _reset_statement(self) -> sql.Composed:
        tables = self._tables()
        numbers = self._control.execute(
            "SELECT schemaname, sequencename FROM pg_sequences WHERE schemaname = ANY(%s) ORDER BY 1, 2",
            (list(self._schemas),),
        ).fetchall()
        parts = [sql.SQL("DELETE FROM {}").format(sql.Identifier(*name)) for name in tables]
        parts += [
            sql.SQL("SELECT setval({}, 1, false)").format(sql.Literal(f"{schema}.{name}")) for schema, name in numbers
        ]
        return sql.SQL("; ").join(parts)
