"""Verbs for tests of the search service: shelve products, ask, look at what the index keeps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest

from dovecote.database import Database
from dovecote.sql import Sql
from ecom.search import mirroring, service, store
from ecom.search.domain import Ask, Change, Deleted, Found, Hit, Upserted, deleted, upserted
from ecom.search.mirroring import Mirroring
from ecom.search.postgres import PostgresIndex
from ecom.search.word_store import State
from ecom.web.application import application

AT = datetime(2026, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)
DOCUMENTS = Sql("""
    SELECT product_id, name, folded, category, brand, price, active, hit, words::text AS words, place, deleted, version,
           occurred_at
      FROM document WHERE slot = (SELECT live FROM index_state) ORDER BY product_id
""")
WORDS = Sql("SELECT word, stem FROM word WHERE slot = (SELECT live FROM index_state) ORDER BY word")

_hit = msgspec.json.Decoder(Hit).decode


def mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every index answer from a mirror, from its first search on and however few documents it has."""
    follow = Mirroring.follow

    async def follow_or_make(self: Mirroring, database: Database, state: State) -> None:
        await follow(self, database, state)
        if self._mirror is None:
            await self.make(database, state)
            await follow(self, database, state)
        assert self._mirror is not None

    monkeypatch.setattr(Mirroring, "follow", follow_or_make)
    monkeypatch.setattr(mirroring, "DOCUMENTS_MAX", -1)  # none is made beside a search


def door(database: Database) -> httpx.AsyncClient:
    """The service's routes as a client of one process sees them."""
    app = application([(service.build({}), database)], name="search-service")
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://shop")


def product(product_id: str, name: str, *, later: int = 0, price: str = "1.00", **fields: Any) -> Change:
    """A product as an event says it, so many seconds after AT; its version is as late."""
    usual = {"version": later + 1, "category": "Groceries", "brand": "National"}
    event = Upserted(product_id=product_id, name=name, price=Decimal(price), **{**usual, **fields})
    return upserted(event, AT + timedelta(seconds=later))


def gone(product_id: str, *, later: int, version: int | None = 0) -> Change:
    """A deletion so many seconds after AT; without a version where that is None."""
    event = Deleted(product_id=product_id, version=later + 1 if version == 0 else version)
    return deleted(event, AT + timedelta(seconds=later))


async def shelve(database: Database, index: PostgresIndex, *changes: Change, counted: bool = True) -> int:
    """Let changes have their effect in one batch, and count the words as the job does."""
    async with database.transaction() as tx:
        changed = await index.apply(tx, changes)
    if counted:
        change = await store.settled_change(database)
        async with database.transaction() as tx:
            await store.count_words(tx, "a", change=change)
        index.forget()
    return changed


async def found(database: Database, index: PostgresIndex, text: str = "", **asked: Any) -> list[str]:
    """The ids of a page, in order."""
    return ids(await index.search(database, Ask(text=text, **asked)))


def ids(answer: Found) -> list[str]:
    """The ids of an answer, in order."""
    return [_hit(hit).product_id for hit in answer.hits]


async def documents(database: Database) -> Sequence[dict[str, Any]]:
    """All that the index keeps."""
    return [dict(row) for row in await database.fetch(DOCUMENTS)]


async def vocabulary(database: Database) -> dict[str, str]:
    """The words, and what each is indexed under."""
    return {row["word"]: row["stem"] for row in await database.fetch(WORDS)}
