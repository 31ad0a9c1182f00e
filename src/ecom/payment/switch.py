"""The outage switch: whether calls to the provider are made at all, as an operator or the configuration says."""

from __future__ import annotations

from datetime import datetime, timedelta

from dovecote.database import Database
from dovecote.errors import DovecoteError, UnavailableError
from ecom.payment import calls_store

# How soon a process notices what an operator has switched at another.
REMEMBERED = timedelta(seconds=1)


class Switch:
    """Shared by a service's HTTP and its workers; the row in the database is the truth, for every process."""

    def __init__(self, *, outage: bool) -> None:
        self._configured = outage
        self._outage = outage
        self._database: Database | None = None
        self._read_at: datetime | None = None

    def bind(self, database: Database) -> None:
        """From now on the database says what is switched."""
        self._database = database

    async def outage(self) -> bool:
        """Whether the provider is not to be called now."""
        database = self._database
        if database is not None and (self._read_at is None or database.now - self._read_at > REMEMBERED):
            try:
                switched = await calls_store.read_switch(database)
            except UnavailableError:
                # a database that restarts says nothing about the provider: what was known still holds
                return self._outage
            self._outage = self._configured if switched is None else switched
            self._read_at = database.now
        return self._outage

    async def set(self, *, outage: bool) -> None:
        """Switch, for every process of the service and its next start."""
        if self._database is None:
            raise DovecoteError("The outage switch needs the service's database; start the service first.")
        async with self._database.transaction() as tx:
            await calls_store.set_switch(tx, outage=outage)
        self._outage = outage
        self._read_at = self._database.now
