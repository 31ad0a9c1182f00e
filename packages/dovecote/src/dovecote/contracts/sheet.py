"""All that is known of one event, for whoever draws it: a page, a terminal, a document for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import jsonschema_rs
import msgspec

from dovecote.contracts.code import Code
from dovecote.contracts.fields import Field, fields
from dovecote.contracts.history import UNRELEASED, Step, histories, neighbours
from dovecote.contracts.shape import struct_schema
from dovecote.contracts.snapshot import Snapshot
from dovecote.errors import ContractError

FULLEST = "full"
"""The golden example that is shown where one of this name exists."""


@dataclass(frozen=True, slots=True)
class Hearer:
    """A service that hears an event: whether the registry names it, whether its code handles it, what it reads."""

    service: str
    is_registered: bool
    handles: bool
    reads: frozenset[str] = frozenset()

    def __str__(self) -> str:
        if self.handles and self.is_registered:
            return self.service
        return f"{self.service} ({'registered, no handler here' if self.is_registered else 'not registered'})"


@dataclass(frozen=True, slots=True)
class Sheet:
    """One event. ``alias_of`` is the event of which it is a second name, accepted and never written."""

    event: str
    about: str
    producer: str
    hearers: tuple[Hearer, ...]
    topic: str
    key: str | None
    schema_file: str
    schema: Mapping[str, Any]
    fields: tuple[Field, ...]
    examples: Mapping[str, bytes]
    history: tuple[Step, ...]
    older: str | None = None
    newer: str | None = None
    alias_of: str | None = None

    @property
    def past(self) -> str:
        """The history in words."""
        told = "; ".join(map(str, self.history))
        return f"{told}, unchanged" if len(self.history) == 1 and self.history[0].version != UNRELEASED else told

    def readers_of(self, path: str) -> tuple[str, ...]:
        """The services whose handler reads a field."""
        return tuple(hearer.service for hearer in self.hearers if path in hearer.reads)

    def example(self, name: str | None = None) -> tuple[str, bytes]:
        """A golden payload by name, or the fullest; raises ContractError that names the file which is missing."""
        if name is None:
            name = FULLEST if FULLEST in self.examples or not self.examples else min(self.examples)
        try:
            return name, self.examples[name]
        except KeyError:
            others = f"; there is {', '.join(sorted(self.examples))}" if self.examples else ""
            raise ContractError(f"There is no examples/{self.event}/{name}.json beside the registry{others}.") from None


class _Entry(msgspec.Struct):
    """An entry of the registry."""

    producer: str
    consumers: list[str]
    schema_file: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What documents are made from; ``releases`` are version and contracts, oldest first."""

    contracts: Snapshot
    code: Code = field(default_factory=Code)
    examples: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    releases: Sequence[tuple[str, Snapshot]] = ()
    partitions: int | None = None

    @property
    def version(self) -> str:
        """The newest release, marked where the contracts have changed since."""
        if not self.releases:
            return "0.0.0+unreleased"
        version, shipped = self.releases[-1]
        return version if shipped == self.contracts else f"{version}+unreleased"

    def sheets(self) -> tuple[Sheet, ...]:
        """A sheet of every event, in the registry's order.

        Raises ContractError where the registry is broken; what is wrong with it is the contract check's to say.
        """
        past = histories(self.contracts, self.releases, self.code.readers)
        return tuple(self._sheet(name, past[name]) for name in self.contracts.events)

    def sheet(self, event: str) -> Sheet:
        """The sheet of one event; raises ContractError for an unknown one, with the nearest names."""
        found = {sheet.event: sheet for sheet in self.sheets()}
        if event not in found:
            near = get_close_matches(event, sorted(found), n=3)
            hint = f"; near to it: {', '.join(near)}" if near else f"; there are {', '.join(sorted(found))}"
            raise ContractError(f"{event!r} is no registered event{hint}.")
        return found[event]

    def _sheet(self, name: str, past: tuple[Step, ...]) -> Sheet:
        entry, schema = self._entry(name), self._schema(name)
        alias_of = self.code.aliases.get(name)
        topics = self.code.topics.get(entry.producer)
        older, newer = neighbours(name, self.contracts.events)
        return Sheet(
            event=name,
            about=str(schema.get("description", "")),
            producer=entry.producer,
            hearers=self._hearers(name, entry.consumers),
            topic=topics.of(alias_of or name) if topics else alias_of or name,
            key=entry.key,
            schema_file=entry.schema_file,
            schema=schema,
            fields=fields(schema),
            examples=self.examples.get(name, {}),
            history=past,
            older=older,
            newer=newer,
            alias_of=alias_of,
        )

    def _entry(self, name: str) -> _Entry:
        try:
            return msgspec.convert(self.contracts.events[name], _Entry)
        except msgspec.ValidationError as error:
            raise ContractError(f"The registry's entry of {name} is wrong: {error}.") from error

    def _schema(self, name: str) -> Mapping[str, Any]:
        schema = self.contracts.schemas.get(name)
        if not isinstance(schema, dict):
            raise ContractError(f"The schema of {name} is missing or is no object.")
        if not jsonschema_rs.meta.is_valid(schema):
            raise ContractError(f"The schema of {name} is no valid JSON Schema.")
        return schema

    def _hearers(self, name: str, consumers: Sequence[str]) -> tuple[Hearer, ...]:
        handling = self.code.listeners(name)
        known = dict.fromkeys((*consumers, *handling))
        return tuple(Hearer(one, one in consumers, one in handling, self._reads(name, one)) for one in known)

    def _reads(self, name: str, service: str) -> frozenset[str]:
        structs = [struct for struct in self.code.readers.get(service, ()) if name == struct.EVENT]
        return frozenset(found.path for struct in structs for found in fields(struct_schema(struct)))
