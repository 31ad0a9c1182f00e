"""A small project that is no shop: one service sings, two listen; a test writes its contracts as it wants them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import msgspec

from dovecote.contracts.code import Code, Topics
from dovecote.contracts.gate import gate
from dovecote.contracts.promise import Promise, said_on
from dovecote.contracts.release import Release, release, releases
from dovecote.contracts.report import Report
from dovecote.contracts.schema import DRAFT
from dovecote.events import Event

SINGER, CHOIR, CROWD = "singer-service", "choir-service", "crowd-service"


def _payload(name: str, event: str, **fields: type) -> type[Event]:
    """A payload's Struct, as a class statement would make it."""
    made = msgspec.defstruct(
        name, fields.items(), bases=(Event,), namespace={"EVENT": event}, module=__name__, frozen=True, rename="camel"
    )
    return cast("type[Event]", made)


# What the singer writes; the choir reads the same. The next version gives each title a language.
SongSung = _payload("SongSung", "song.sung.v1", title=str, verse=int)
SongSungNext = _payload("SongSungNext", "song.sung.v2", title=str, verse=int, language=str)
# What the crowd reads.
TitleHeard = _payload("TitleHeard", "song.sung.v1", title=str)
NextTitleHeard = _payload("NextTitleHeard", "song.sung.v2", title=str)

V1: dict[str, Any] = {"title": {"type": "string"}, "verse": {"type": "integer"}}
V2: dict[str, Any] = {**V1, "language": {"type": "string"}}
EXAMPLE = {"title": "Ännchen", "verse": 2, "language": "de"}


@dataclass
class Project:
    """Contracts in a folder of their own, releases beside them, and what the code is said to be."""

    root: Path
    writers: tuple[type[Event], ...] = (SongSung,)
    choir: tuple[type[Event], ...] = (SongSung,)
    crowd: tuple[type[Event], ...] = (TitleHeard,)
    topics: dict[str, str] = field(default_factory=dict)

    @property
    def contracts(self) -> Path:
        """The folder with the registry."""
        return self.root / "contracts"

    @property
    def code(self) -> Code:
        """What the project's code says."""
        topics = {name: Topics(f"{name}.yml", self.topics) for name in (SINGER, CHOIR, CROWD)}
        return Code(
            writers={SINGER: self.writers},
            readers={SINGER: (), CHOIR: self.choir, CROWD: self.crowd},
            topics=topics,
            root=self.root,
        )

    @property
    def released(self) -> tuple[Release, ...]:
        """The releases, oldest first."""
        return releases(self.root / "released")

    def register(self, *versions: tuple[str, dict[str, Any], Sequence[str]]) -> None:
        """Write registry, schemas and examples anew: each event with its fields, all required, and its consumers."""
        events = {}
        for name, properties, consumers in versions:
            file = f"schemas/{name}.json"
            events[name] = {
                "schema_version": name.rsplit(".", 1)[1],
                "producer": SINGER,
                "consumers": list(consumers),
                "schema_file": file,
            }
            schema = {"$schema": DRAFT, "type": "object", "properties": properties, "required": list(properties)}
            _write(self.contracts / file, schema)
            for example in ("minimal", "full"):
                path = self.contracts / "examples" / name / f"{example}.json"
                if not path.exists():
                    _write(path, {key: EXAMPLE[key] for key in properties})
        _write(self.contracts / "event-contracts.json", {"version": "1", "events": events})
        for path in (self.contracts / "schemas").glob("*.json"):
            if path.stem not in events:
                path.unlink()
        for path in (self.contracts / "examples").glob("*/*.json"):
            if path.parent.name not in events:
                path.unlink()

    def gate(self, *, allow_unread: bool = False, before: Promise | None = None) -> Report:
        """The gate against the newest release, or against a promise."""
        return gate(self.contracts, self.code, released=self.released, before=before, allow_unread=allow_unread)

    def release(self, version: str) -> Release:
        """Keep what is there as a release."""
        topics = said_on(self.gate().events, self.code.topics)
        return release(version, self.contracts, self.root / "released", topics)


def _write(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
