"""A migrated search database, emptied for each test, and the service's door."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from dovecote.database import Database
from dovecote.sql import Sql
from ecom.search.postgres import PostgresIndex
from ecom.search.service import NAME, SCHEMA
from tests.search.stories import door, mirrored
from tests.slate import clean_slate

EMPTY = (
    Sql("SELECT empty_slot('a'), empty_slot('b')"),
    Sql("DELETE FROM consumed_event_record"),
    Sql("DELETE FROM dead_letter"),
    Sql("""
        UPDATE index_state
           SET live = 'a', building = NULL, documents = 0, counted_writes = NULL, counted_change = NULL
    """),
)


@pytest.fixture
async def database(module_database_url: str) -> AsyncIterator[Database]:
    """The service's schema, migrated once for a module and emptied for each test."""
    async with clean_slate(module_database_url, name=NAME, schema=SCHEMA, empty=EMPTY) as database:
        yield database


@pytest.fixture(params=["PostgreSQL", "mirror"])
def index(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> PostgresIndex:
    """An index that remembers nothing yet; once it asks PostgreSQL, once it holds a mirror."""
    if request.param == "mirror":
        mirrored(monkeypatch)
    return PostgresIndex()


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service alone."""
    async with door(database) as client:
        yield client
