"""The mirror of a process: made beside the searches when it is worth it, kept up to date, dropped when it cannot be."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime

from dovecote.database import Database
from dovecote.errors import UnavailableError
from ecom.search.lexicon import Lexicon, TooLarge
from ecom.search.memory import Age
from ecom.search.mirror import DOCUMENTS_MAX, Mirror, OutOfDate
from ecom.search.page_store import Scope
from ecom.search.word_store import State

DOCUMENTS_MIN = 1_000
"""Fewer are found quickly without a mirror."""
AGAIN_S = 60.0
"""In the midst of many changes one is made no more often, so that making costs a share of the time."""


class Mirroring:
    """Hands out the mirror for a search, where there is one that answers it."""

    def __init__(self, age: Age) -> None:
        self._age = age
        self._mirror: Mirror | None = None
        self._made: Mirror | None = None  # which has not followed a state yet
        self._swapped_at: datetime | None = None
        self._followed: int | None = None
        self._counted: int | None = None
        self._making: asyncio.Task[None] | None = None
        self._tried_at = -AGAIN_S
        self._tried_change: int | None = None

    def of(self, scope: Scope) -> Mirror | None:
        """What is on sale, at any price, in the slot that was last seen to serve."""
        mirror = self._mirror
        is_mirrored = scope.active_only and scope.price_min is None and scope.price_max is None
        return mirror if is_mirrored and mirror is not None and mirror.slot == scope.slot else None

    async def follow(self, database: Database, state: State) -> None:
        """Make it as new as the state, which has just been read; begin to make one where there is none."""
        # A state may be newer than what a new mirror has read: it answers nobody before it has followed one.
        mirror = self._made or self._mirror
        self._made = None
        if mirror is not None and (mirror.slot, self._swapped_at) != (state.live, state.swapped_at):
            mirror = self._mirror = None
        if mirror is None:
            self._make_in_time(database, state)
        elif self._followed != state.change:
            is_settled = self._age.is_settled
            try:
                await mirror.follow(database)
                self._mirror = mirror
            except OutOfDate:
                self._mirror = None
            # Who drew the number may not have committed: until it has, there is something to be looked for.
            self._followed = state.change if is_settled else None
        if self._mirror is not None and self._counted != state.counted and self._making is None:
            self._making = asyncio.create_task(self._count_anew(database, self._mirror, state))

    def lexicon(self, slot: str) -> Lexicon | None:
        """The vocabulary of a slot, where it is held."""
        mirror = self._mirror
        return mirror.lexicon if mirror is not None and mirror.slot == slot else None

    async def _count_anew(self, database: Database, mirror: Mirror, state: State) -> None:
        """Learn the counts of words, beside the searches: they may be older than what they count."""
        try:
            await mirror.count_anew(database)
            self._counted = state.counted
        except TooLarge:
            self._mirror = None
        except UnavailableError:
            pass  # it is tried again when the state is read
        finally:
            self._making = None

    def _make_in_time(self, database: Database, state: State) -> None:
        if self._making is not None or not DOCUMENTS_MIN <= state.documents <= DOCUMENTS_MAX:
            return
        is_news = state.is_counted and state.change != self._tried_change
        if is_news or time.monotonic() - self._tried_at >= AGAIN_S:
            self._making = asyncio.create_task(self.make(database, state))

    async def make(self, database: Database, state: State) -> None:
        """Make a mirror of the slot that serves, for the next `follow`; one that cannot be had is tried again later."""
        self._tried_at, self._tried_change = time.monotonic(), state.change
        try:
            self._made = await Mirror.of(database, state.live)
            self._swapped_at, self._counted, self._followed = state.swapped_at, state.counted, None
        except (OutOfDate, TooLarge, UnavailableError):
            pass  # PostgreSQL answers meanwhile
        finally:
            self._making = None
