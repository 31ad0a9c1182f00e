"""Databases in which the sample services are migrated, copied for each test, and a relay to run on them."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from dovecote.contracts import Contracts
from dovecote.database import Database
from dovecote.kafka import Admin
from dovecote.migrate import migrate
from ecom.local import Servers
from tests.dovecote import sample


@pytest.fixture(scope="session")
def contracts() -> Contracts:
    """The sample's registry."""
    return sample.contracts()


@pytest.fixture(scope="session")
async def sample_template(embedded: Servers) -> AsyncIterator[str]:
    """The name of a database in which both sample schemas are migrated, to be copied (it saves a second a test)."""
    async with new_database(embedded.database_url, template="template1") as url:
        for schema in (sample.NOTES_SCHEMA, sample.BOARD_SCHEMA):
            await asyncio.to_thread(migrate, url, schema=schema, folders=[sample.MIGRATIONS])
        yield urlsplit(url).path.lstrip("/")


@pytest.fixture
async def sample_url(embedded: Servers, sample_template: str) -> AsyncIterator[str]:
    """A database of this test's own with the schemas `notes` and `board`."""
    async with new_database(embedded.database_url, template=sample_template) as url:
        yield url


@pytest.fixture
async def notes(sample_url: str, prefix: str) -> AsyncIterator[Database]:
    """The notes service's database; its topics carry the test's prefix."""
    async with sample.connected(sample_url, prefix=prefix) as database:
        yield database


@pytest.fixture
async def topics(bootstrap: str, prefix: str) -> AsyncIterator[list[str]]:
    """The sample's topics, made for this test with three partitions and deleted after it."""
    names = [prefix + name for name in sample.contracts()]
    admin = Admin(bootstrap)
    await admin.ensure_topics(names, partitions=3, replication=1)
    yield names
    await admin.delete_topics(names)


@contextlib.asynccontextmanager
async def new_database(server_url: str, *, template: str) -> AsyncIterator[str]:
    """A database for as long as the block lasts."""
    name = f"dovecote_{secrets.token_hex(6)}"
    await _administer(server_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        await _administer(server_url, f"DROP DATABASE {name} WITH (FORCE)")


async def _administer(server_url: str, statement: str) -> None:
    # A connection for each: a fault test restarts the server in between.
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
