"""Real servers for every test that asks: one PostgreSQL and one Kafka a session, a database for each test."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import secrets
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from ecom.local import Home, Servers, servers
from ecom.local.place import temporary_home
from ecom.local.process import free_port


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests run on asyncio's own loop, for they start processes while threads of Kafka's client run.

    uvloop runs Python in the forked child before it becomes the new program, which crashes it now and then in a
    process with threads. The product's processes, which run on uvloop, start none that way (`ecom.local.process`).
    """
    return {"asyncio": asyncio.SelectorEventLoop}


def pytest_sessionfinish(exitstatus: int) -> None:
    """End the process as the command line does: freeing Kafka's native handles at exit may wait for ever."""
    _ended.append(int(exitstatus))


_ended: list[int] = []


@atexit.register  # the first to be registered, so the last to run
def _end_at_once() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    if _ended:
        os._exit(_ended[-1])


@pytest.fixture(scope="session")
def home() -> Iterator[Home]:
    """A home for this session, removed at the end."""
    with temporary_home() as home:
        yield home


@pytest.fixture(scope="session")
async def embedded(home: Home) -> AsyncIterator[Servers]:
    """The session's servers: embedded ones, or those of ECOM_DATABASE_URL and ECOM_KAFKA_BOOTSTRAP_SERVERS."""
    async with servers(home, os.environ) as running:
        yield running


@pytest.fixture(scope="session")
def bootstrap(embedded: Servers) -> str:
    """Kafka's address."""
    return embedded.bootstrap


@pytest.fixture
def prefix() -> str:
    """A prefix for schemas, topics and groups that no other test uses."""
    return f"t{secrets.token_hex(4)}_"


@pytest.fixture
def port() -> int:
    """A loopback port that nothing listens on."""
    return free_port()


@pytest.fixture(scope="session")
def system_part() -> Callable[[str], str]:
    """Finds a program of the system; without it a user's test is skipped by name, CI's fails."""

    def find(program: str) -> str:
        found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if found is None:
            missing = f"{program} is not installed (Debian, Ubuntu: apt install {program})"
            if os.environ.get("CI") == "true":
                pytest.fail(missing)
            pytest.skip(missing)
        return found

    return find


@pytest.fixture(scope="session")
def kcat(system_part: Callable[[str], str]) -> str:
    """An independent Kafka client's program."""
    return system_part("kcat")


@pytest.fixture
async def empty_database_url(embedded: Servers) -> AsyncIterator[str]:
    """A new database with nothing in it."""
    async with _database(embedded, template="template1") as url:
        yield url


@pytest.fixture(scope="session")
async def template(embedded: Servers) -> AsyncIterator[str]:
    """The name of a database in which every service's schema is migrated, to be copied."""
    from ecom.shop import Shop  # only tests that ask for a migrated database need the whole shop

    async with _database(embedded, template="template1") as url:
        await Shop.all(os.environ).migrate(url)
        yield urlsplit(url).path.lstrip("/")


@pytest.fixture
async def database_url(embedded: Servers, template: str) -> AsyncIterator[str]:
    """A database of this test's own, every service's schema migrated and empty."""
    async with _database(embedded, template=template) as url:
        yield url


@pytest.fixture(scope="module")
async def module_database_url(embedded: Servers, template: str) -> AsyncIterator[str]:
    """One migrated database for all tests of a module, which must then not mind each other's rows."""
    async with _database(embedded, template=template) as url:
        yield url


@contextlib.asynccontextmanager
async def _database(embedded: Servers, *, template: str) -> AsyncIterator[str]:
    name = f"t_{secrets.token_hex(6)}"
    await _administer(embedded, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        parts = urlsplit(embedded.database_url)
        yield urlunsplit(parts._replace(path=f"/{name}"))
    finally:
        await _administer(embedded, f"DROP DATABASE {name} WITH (FORCE)")


async def _administer(embedded: Servers, statement: str) -> None:
    connection = await asyncpg.connect(embedded.database_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
