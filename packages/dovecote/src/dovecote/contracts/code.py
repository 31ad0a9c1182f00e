"""What the code of a project says of its events: who writes, who reads, on which topics; compared with the registry."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dovecote.contracts.problem import shown
from dovecote.events import Event
from dovecote.handlers import Handlers
from dovecote.settings import topic_key


@dataclass(frozen=True, slots=True)
class Topics:
    """A service's topics: what stands under ``app.kafka.topics`` of its file; else a topic is the event's name."""

    file: str
    named: Mapping[str, str] = field(default_factory=dict)

    def of(self, event_type: str) -> str:
        """The topic on which the service says or hears an event."""
        return self.named.get(topic_key(event_type), event_type)


@dataclass(frozen=True, slots=True)
class Saying:
    """A place in a service's source that uses a writer's Struct; ``builds`` where it makes an event of it."""

    service: str
    event: str
    file: str
    line: int
    builds: bool = True


@dataclass(frozen=True, slots=True)
class Code:
    """What a project's code says of events. Ask live registries for it, not the text of files.

    ``writers``: the Structs through which each service writes. ``readers``: those through which it reads (``heard``).
    ``topics``: what each service's configuration says. ``said``: where the source uses writers' Structs
    (``dovecote.contracts.source``); None where nobody looked. ``aliases``: second names of events that are accepted
    and never written, each with the event whose schema it shares. ``elsewhere``: services that the registry may name
    and whose code is not here.
    """

    writers: Mapping[str, Sequence[type[Event]]] = field(default_factory=dict)
    readers: Mapping[str, Sequence[type[Event]]] = field(default_factory=dict)
    topics: Mapping[str, Topics] = field(default_factory=dict)
    said: Sequence[Saying] | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    elsewhere: frozenset[str] = frozenset()
    root: Path = field(default_factory=Path.cwd)

    @property
    def services(self) -> frozenset[str]:
        """The services whose code is here."""
        return frozenset({*self.writers, *self.readers, *self.topics})

    def listeners(self, event_type: str) -> tuple[str, ...]:
        """The services that handle an event, in order."""
        return tuple(sorted(name for name, heard in self.readers.items() if event_type in {s.EVENT for s in heard}))

    def place(self, struct: type[Event]) -> str:
        """The file in which a Struct stands."""
        return shown(Path(inspect.getfile(struct)).resolve(), self.root)


def heard(handlers: Handlers) -> tuple[type[Event], ...]:
    """The Structs through which a service's live handlers read."""
    return tuple(route.struct for route in handlers.routes.values())
