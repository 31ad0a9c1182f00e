"""A service's database sessions in the simulation: each statement is a turn, and goes to the real server."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import asyncpg

from dovecote.clock import READ_CLOCK
from dovecote.leadership import AS_LOGIN_USER, END_STALE, TAKE_OFFICE
from dovecote.relay import NOTIFY
from dovecote.scan import PIN_PLANS, SCAN, SWEEP
from dovecote.sql import Sql
from tests.simulation.answer import OnTheSpot, Wire
from tests.simulation.server import Server
from tests.simulation.world import Actor, World
from tests.simulation.writes import Touch, touch

STALE_LEADERS = """
    SELECT l.pid FROM relay_leader AS l
      JOIN pg_locks AS held ON held.pid = l.pid AND held.locktype = 'advisory' AND held.granted
     WHERE l.single AND l.beat_at < $1
"""
FREE = "ROLLBACK; SELECT pg_advisory_unlock_all()"


class Fate:
    """What the scheduler has decided about a statement, before it runs."""

    COMMON = "runs"
    LOST_BEFORE = "the connection is lost before it"
    LOST_AFTER = "the connection is lost after it, before the answer"


class SimulatedSession:
    """Stands where an asyncpg connection stands."""

    def __init__(self, world: World, server: Server, actor: Actor, schema: str, raw: Any, books: Sessions) -> None:
        self.actor = actor
        self.name = actor.name
        self._world = world
        self._server = server
        self.schema = schema
        self._raw = raw
        self._books = books
        self._begun = False  # BEGIN has been said
        self._wanted = False  # a transaction is open, as far as the program knows
        self._in_statement = False
        self._touched = Touch.NOTHING  # by its transaction
        self.is_lost = False
        self._wire = Wire(raw)
        self.pid: int = raw.get_server_pid()

    # -- what the program calls -----------------------------------------------------------------------------------

    async def fetch(self, query: str, *args: object) -> Any:
        return await self._statement(query, self._raw.fetch, *args)

    async def fetchrow(self, query: str, *args: object) -> Any:
        return await self._statement(query, self._raw.fetchrow, *args)

    async def fetchval(self, query: str, *args: object) -> Any:
        if query == READ_CLOCK.text:
            return self._world.now
        return await self._statement(query, self._raw.fetchval, *args)

    async def execute(self, query: str, *args: object) -> Any:
        if query == NOTIFY.text:
            await self._world.turn(self.actor, "NOTIFY")
            self._books.ended[self.name] += 1
            self._books.notify(str(args[0]))
            return "SELECT 1"
        if query in (AS_LOGIN_USER.text, PIN_PLANS.text):  # whose rights and which plans: nothing to simulate
            return "SELECT 1"
        if query == END_STALE.text:
            return await self._end_stale(args[0])
        return await self._statement(query, self._raw.execute, *args)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """BEGIN goes with the first statement; COMMIT is a turn of its own."""
        self._wanted = True
        try:
            yield
        except BaseException:
            await self._close_transaction("ROLLBACK")
            raise
        await self._close_transaction("COMMIT")

    async def add_listener(self, channel: str, callback: Callable[..., Any]) -> None:
        self._books.listen(channel, self, callback)

    async def close(self, *, timeout: float | None = None) -> None:
        self.terminate()

    def terminate(self) -> None:
        """The program lets go of the session."""
        self.lose()

    def is_closed(self) -> bool:
        return self.is_lost

    # -- what happens to it ---------------------------------------------------------------------------------------

    def is_in_transaction(self) -> bool:
        return self._wanted

    def waits_for_a_lock(self) -> bool:
        return self._server.blocked(self.pid)

    def stop(self) -> bool:
        return self._server.stop(self.pid)

    def go_on(self) -> None:
        self._server.go_on(self.pid)

    def lose(self) -> None:
        """The connection is gone: the server rolls back and lets go of its locks."""
        if self.is_lost:
            return
        self.is_lost = True
        self._books.forget(self)
        if self._in_statement:  # waits for a lock: its session ends, and another takes its place
            self._server.end(self.pid)
            self._world.unblock()
        else:
            self._world.errand(self._free())

    def _wait(self) -> Coroutine[Any, Any, None] | None:
        return self._world.freed(self) if self.waits_for_a_lock() else None

    async def _free(self) -> None:
        await OnTheSpot(self._raw.execute(FREE), self._wire, lambda: None)
        self._server.give_back(self.schema, self._raw)

    async def _statement(self, query: str, send: Callable[..., Coroutine[Any, Any, Any]], *args: object) -> Any:
        fate = await self._turn(name_of(query))
        if self._wanted and not self._begun:
            self._begun, self._touched = True, Touch.NOTHING
            await self._send(self._raw.execute("BEGIN"))
        result = await self._send(send(query, *args))
        self._books.done(self, query)
        if not self._begun:
            self._books.ended[self.name] += 1
        if (touched := touch(query)) and not (isinstance(result, str) and result.endswith(" 0")):
            self._touched |= touched
            if not self._begun:
                self._books.changed(self, touched)
        if fate == Fate.LOST_AFTER:
            self._lost()
        return result

    async def _close_transaction(self, word: str) -> None:
        self._wanted = False
        if not self._begun:
            return
        self._begun = False
        if word == "ROLLBACK":
            if not self.is_lost and not self.actor.is_dead:
                await self._send(self._raw.execute(word))
            return
        fate = await self._turn(word)
        await self._send(self._raw.execute(word))
        self._books.ended[self.name] += 1
        self._books.changed(self, self._touched)
        if fate == Fate.LOST_AFTER:
            self._lost()

    async def _turn(self, what: str) -> str:
        if self.is_lost:
            self._lost()
        await self._world.turn(self.actor, what)
        if self.is_lost:
            self._lost()
        fate = self._books.fate(self, what)
        if fate == Fate.LOST_BEFORE:
            self._lost()
        return fate

    async def _send(self, call: Coroutine[Any, Any, Any]) -> Any:
        self._in_statement = True
        try:
            return await OnTheSpot(call, self._wire, self._wait)
        except asyncio.CancelledError:
            self.lose()  # nobody will read the answer
            raise
        finally:
            self._in_statement = False
            self._world.answered(self)

    def _lost(self) -> None:
        self.lose()
        raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    async def _end_stale(self, before: object) -> str:
        rows = await self._statement(END_STALE.text, lambda _query: self._raw.fetch(STALE_LEADERS, before))
        self._books.end([row["pid"] for row in rows])
        return f"SELECT {len(rows)}"


class Sessions:
    """All sessions of one run: who listens, what was lost, and what befalls the next statement."""

    def __init__(self, world: World, server: Server) -> None:
        self._world = world
        self._server = server
        self._live: dict[int, SimulatedSession] = {}
        self._listening: dict[str, dict[SimulatedSession, Callable[..., Any]]] = {}
        self.decide: Callable[[SimulatedSession, str], str] = lambda _session, _what: Fate.COMMON
        self.is_changed = False  # something was committed since the invariants were last looked at
        self.touched = Touch.NOTHING  # and what of it may change how much is left to be done
        self.written: set[str] = set()  # and the schemas in which it may change the answer of an invariant
        self.changed_by: Actor | None = None
        self.ended: Counter[str] = Counter()  # each actor's transactions, also those of one statement
        self.loses_notices = False
        self.wrong: list[str] = []
        self._offices: dict[str, Actor] = {}

    async def open(self, actor: Actor, schema: str) -> SimulatedSession:
        await self._world.turn(actor, "connects")
        raw = await self._world.errand(self._server.session(schema))
        session = SimulatedSession(self._world, self._server, actor, schema, raw, self)
        self._live[session.pid] = session
        return session

    def changed(self, by: SimulatedSession, touched: Touch) -> None:
        self.is_changed, self.changed_by = True, by.actor
        self.touched |= touched
        if Touch.BOOKS in touched:
            self.written.add(by.schema)

    def done(self, session: SimulatedSession, query: str) -> None:
        """O3, O7: only who took office last looks for what is to be sent."""
        if query == TAKE_OFFICE.text:
            self._offices[session.schema] = session.actor
        elif query in (SCAN.text, SWEEP.text) and self._offices.get(session.schema) is not session.actor:
            self.wrong.append(f"O7: {session.actor.name} sends, and has not taken office last")

    def fate(self, session: SimulatedSession, what: str) -> str:
        return self.decide(session, what)

    def notify(self, channel: str) -> None:
        if not self.loses_notices:
            for callback in list(self._listening.get(channel, {}).values()):
                callback()

    def listen(self, channel: str, session: SimulatedSession, callback: Callable[..., Any]) -> None:
        self._listening.setdefault(channel, {})[session] = callback

    def forget(self, session: SimulatedSession) -> None:
        self._live.pop(session.pid, None)
        for listeners in self._listening.values():
            listeners.pop(session, None)

    def end(self, pids: list[int]) -> None:
        """The server ends sessions, at somebody's wish."""
        for pid in pids:
            if session := self._live.get(pid):
                session.lose()

    def of(self, actor: Actor) -> list[SimulatedSession]:
        """The sessions of an actor, in a repeatable order."""
        return [session for session in self._live.values() if session.actor is actor]


_names: dict[str, str] = {}


def name_of(query: str) -> str:
    """The name of a statement's constant, or its first words."""
    if not _names:
        for module in [m for name, m in sys.modules.items() if name.startswith(("dovecote", "ecom"))]:
            for constant, value in vars(module).items():
                if isinstance(value, Sql):
                    _names.setdefault(value.text, constant)
    return _names.get(query) or " ".join(query.split())[:40]
