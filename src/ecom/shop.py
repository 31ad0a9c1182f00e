"""The composition root: which services there are, and how they get their settings, schemas, topics and roles."""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import parse_qsl, urlsplit

from dovecote.contracts import Contracts
from dovecote.errors import SettingsError
from dovecote.kafka import Admin
from dovecote.migrate import drop, may_create_roles, migrate
from dovecote.service import Service
from ecom.contracts import CONTRACTS
from ecom.web.built import Built

SERVICES = ("order", "payment", "inventory", "notification", "product", "search")
_PREFIX = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*_")


@dataclass(frozen=True)
class Shop:
    """Some or all of the services, built and not yet running; `prefix` keeps a demo's things apart from all others."""

    built: Mapping[str, Built]
    contracts: Contracts
    environ: Mapping[str, str]
    prefix: str = ""

    @classmethod
    def of(cls, names: Iterable[str], environ: Mapping[str, str], *, prefix: str = "") -> Shop:
        """Build services by their short names.

        Raises SettingsError for an unknown name, a wrong setting or a prefix that is no safe name.
        """
        if prefix and not _PREFIX.fullmatch(prefix):
            raise SettingsError(f"The prefix {prefix!r} must be lower-case words ending in an underscore.")
        contracts = Contracts.load(CONTRACTS)
        return cls({name: build(name, environ) for name in names}, contracts, environ, prefix)

    @classmethod
    def all(cls, environ: Mapping[str, str], *, prefix: str = "") -> Shop:
        """Build every service."""
        return cls.of(SERVICES, environ, prefix=prefix)

    def schema(self, name: str) -> str:
        """The schema of a service."""
        return self.prefix + self.built[name].blueprint.schema

    def url(self, name: str, database_url: str) -> str:
        """The database of a service: its own where ECOM_<SERVICE>_DATABASE_URL says so."""
        return self.environ.get(f"ECOM_{name.upper()}_DATABASE_URL", "").strip() or database_url

    async def migrate(self, database_url: str) -> dict[str, int]:
        """Bring every schema up to date; says how many migrations each needed."""
        return {name: await asyncio.to_thread(self._migrate, name, database_url) for name in self.built}

    async def create_topics(self, bootstrap: str) -> list[str]:
        """Create the topics that are missing; says which."""
        admin = Admin(bootstrap)
        created: list[str] = []
        for name, built in self.built.items():
            kafka = built.blueprint.app.kafka
            created += await admin.ensure_topics(
                self.topics(name), partitions=kafka.partitions, replication=kafka.replication_factor
            )
        return created

    def topics(self, name: str) -> list[str]:
        """The topics a service says or hears."""
        blueprint = self.built[name].blueprint
        topic_of = blueprint.topic_of(self.contracts, self.prefix)
        types = [*blueprint.published(self.contracts), *blueprint.handlers.event_types]
        return list(dict.fromkeys(topic_of[event_type] for event_type in types))

    def services(self, database_url: str, bootstrap: str) -> dict[str, Service]:
        """Make the services, each as the role of its own where the user may have roles."""
        return {
            name: Service(
                built.blueprint,
                database_url=self.url(name, database_url),
                bootstrap=bootstrap,
                contracts=self.contracts,
                prefix=self.prefix,
                role=self._role(name, database_url),
            )
            for name, built in self.built.items()
        }

    async def drop(self, database_url: str, bootstrap: str) -> None:
        """Remove all that carries the prefix; what has none is never touched."""
        if not self.prefix:
            raise SettingsError("Only what carries a prefix is ever dropped.")
        for name in self.built:
            url = self.url(name, database_url)
            await asyncio.to_thread(drop, url, schema=self.schema(name), role=self._role(name, database_url))
        admin = Admin(bootstrap)
        await admin.delete_groups([self.prefix + built.blueprint.name for built in self.built.values()])
        topics: Sequence[str] = [topic for name in self.built for topic in self.topics(name)]
        await admin.delete_topics([topic for topic in dict.fromkeys(topics) if topic.startswith(self.prefix)])

    def _migrate(self, name: str, database_url: str) -> int:
        return migrate(
            self.url(name, database_url),
            schema=self.schema(name),
            folders=[self.built[name].blueprint.migrations],
            role=self._role(name, database_url),
        )

    def _role(self, name: str, database_url: str) -> str | None:
        return self.schema(name) if may_create_roles(self.url(name, database_url)) else None


def build(name: str, environ: Mapping[str, str]) -> Built:
    """Build one service; its modules are loaded only when it is wanted, so that a process holds what it runs."""
    if name not in SERVICES:
        raise SettingsError(f"There is no service {name!r}; there are {', '.join(SERVICES)}.")
    module = importlib.import_module(f"ecom.{name}.service")
    return cast("Built", module.build(environ))


def shown(url: str) -> str:
    """A database's address without the password, for the terminal and the log."""
    parts = urlsplit(url)
    place = dict(parse_qsl(parts.query))
    host, port = parts.hostname or place.get("host", ""), parts.port or place.get("port", 5432)
    return f"{host}:{port}{parts.path}"
