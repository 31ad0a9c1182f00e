"""The database and the broker a shop runs on: embedded ones for this machine, or the user's own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from ecom.local import kafka, postgres
from ecom.local.child import Child, end_leftovers, stop_all
from ecom.local.errors import HomeInUse, LocalError
from ecom.local.home import Home
from ecom.local.process import is_alive, to_their_end

DATABASE_URL = "ECOM_DATABASE_URL"
BOOTSTRAP = "ECOM_KAFKA_BOOTSTRAP_SERVERS"


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the servers are; `postgres` and `kafka` are None where the user, or another launcher, brought them."""

    home: Home
    database_url: str
    bootstrap: str
    postgres: Child | None = None
    kafka: Child | None = None
    is_guest: bool = False  # another launcher owns the home

    @property
    def environ(self) -> dict[str, str]:
        """What a process of ours needs to know to use the same servers."""
        return {DATABASE_URL: self.database_url, BOOTSTRAP: self.bootstrap, "ECOM_HOME": str(self.home.path)}


@contextlib.asynccontextmanager
async def servers(home: Home, environ: Mapping[str, str]) -> AsyncIterator[Servers]:
    """Hold the home, start what the user did not bring, and stop it again in order: broker, then database."""
    with home.hold():
        own_url = environ.get(DATABASE_URL, "").strip()
        own_bootstrap = environ.get(BOOTSTRAP, "").strip()
        running: dict[str, Child] = {}

        async def start_database() -> None:
            if not own_url:
                running[postgres.NAME] = await postgres.start_postgres(home)

        async def start_broker() -> None:
            if not own_bootstrap:
                running[kafka.NAME] = await kafka.start_kafka(home)

        await end_leftovers(home)
        try:
            await to_their_end(start_database(), start_broker())
            database = running.get(postgres.NAME)
            broker = running.get(kafka.NAME)
            yield Servers(
                home=home,
                database_url=own_url or postgres.near_url(running[postgres.NAME].record),
                bootstrap=own_bootstrap or kafka.bootstrap(running[kafka.NAME].record),
                postgres=database,
                kafka=broker,
            )
        finally:
            await stop_all([running[name] for name in (kafka.NAME, postgres.NAME) if name in running])


@contextlib.asynccontextmanager
async def joined_servers(home: Home, environ: Mapping[str, str]) -> AsyncIterator[Servers]:
    """Use the servers of a launcher that runs on this home, or start them for as long as the block lasts."""
    try:
        async with servers(home, environ) as own:
            yield own
    except HomeInUse:
        yield _running(home, environ)


def _running(home: Home, environ: Mapping[str, str]) -> Servers:
    url = environ.get(DATABASE_URL, "").strip()
    bootstrap = environ.get(BOOTSTRAP, "").strip()
    records = {name: record for name, record in home.records().items() if is_alive(record)}
    if not url and postgres.NAME in records:
        url = postgres.near_url(records[postgres.NAME])
    if not bootstrap and kafka.NAME in records:
        bootstrap = kafka.bootstrap(records[kafka.NAME])
    if not url or not bootstrap:
        raise LocalError(f"The servers on {home.path} are just starting or stopping: try again in a moment.")
    return Servers(home=home, database_url=url, bootstrap=bootstrap, is_guest=True)
