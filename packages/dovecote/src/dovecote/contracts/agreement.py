"""Whether code and registry say the same: what is written and what is heard, by whom, and through which Struct."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dovecote.contracts.code import Code
from dovecote.contracts.problem import Problem, nearest, pointer
from dovecote.contracts.shape import reader_asks_too_much, writer_differs
from dovecote.events import Event


@dataclass(frozen=True, slots=True)
class Agreement:
    """The registry's whole entries and their sound schemas, held against code; ``known`` are all registered names."""

    registry: str
    events: Mapping[str, Any]
    schemas: Mapping[str, Any]
    known: frozenset[str]
    code: Code

    def problems(self) -> Iterator[Problem]:
        """Each disagreement; a project without code has none."""
        if self.code.services:
            yield from self._services()
            yield from self._writers()
            yield from self._sayings()
            yield from self._readers()

    def _services(self) -> Iterator[Problem]:
        """Services that the registry names and that are not, or hear nothing of what they are named for."""
        here, exist = self.code.services, self.code.services | self.code.elsewhere
        for name, entry in self.events.items():
            at = pointer("events", name)
            named = [("producer", entry["producer"])]
            named += [(f"consumers/{number}", service) for number, service in enumerate(entry["consumers"])]
            for place, service in named:
                if service not in exist:
                    wrong = f"{name} names {service}, and there is no such service{nearest(service, exist)}"
                    yield Problem(self.registry, f"{at}/{place}", wrong, "correct the name")
                elif place != "producer" and service in here and service not in self.code.listeners(name):
                    wrong = f"{service} is registered as a consumer of {name} and handles nothing of it"
                    yield Problem(self.registry, f"{at}/{place}", wrong, "write its handler, or take it out")

    def _writers(self) -> Iterator[Problem]:
        written: set[str] = set()
        for service, structs in self.code.writers.items():
            for struct in structs:
                yield from self._writer(service, struct, seen=struct.EVENT in written)
                written.add(struct.EVENT)
        for name in sorted(self.events.keys() - written):
            if (service := self.events[name]["producer"]) in self.code.services:
                wrong = f"{name} is registered, and {service} has no Struct to write it through"
                yield Problem(self.registry, pointer("events", name), wrong, "add the Struct, or take the event out")

    def _writer(self, service: str, struct: type[Event], *, seen: bool) -> Iterator[Problem]:
        name, file = struct.EVENT, self.code.place(struct)
        if name not in self.known:
            wrong = f"{struct.__name__} writes {name!r}, which is not registered{nearest(name, self.known)}"
            yield Problem(file, "", wrong, f"add it to {self.registry}")
        elif seen:
            wrong = f"{struct.__name__} is a second Struct of {name}"
            yield Problem(file, "", wrong, "keep one writer's Struct for an event")
        if name in self.events and self.events[name]["producer"] != service:
            wrong = f"{struct.__name__} lets {service} write {name}, registered for {self.events[name]['producer']}"
            yield Problem(file, "", wrong, "move the Struct to its producer, or correct the registry")
        if name in self.schemas:
            for difference in writer_differs(struct, self.schemas[name]):
                wrong = f"{difference.wrong} ({struct.__name__}, {file})"
                yield Problem(self._schema(name), difference.pointer, wrong, difference.mend)

    def _sayings(self) -> Iterator[Problem]:
        """Only its producer builds an event, and does so somewhere; an alias is built by nobody."""
        for alias, name in self.code.aliases.items():
            yield from self._alias(alias, name)
        if self.code.said is None:
            return
        said: set[str] = set()
        for saying in self.code.said:
            if saying.event not in self.events:
                continue
            place, producer = f"{saying.file}:{saying.line}", self.events[saying.event]["producer"]
            if saying.service == producer:
                said.add(saying.event)
            elif saying.builds:
                wrong = f"{saying.service} builds {saying.event}, an event of {producer}"
                yield Problem(place, "", wrong, "say an event of its own")
            if saying.builds and saying.event in self.code.aliases:
                wrong = f"{saying.event} is an alias, accepted and not written"
                yield Problem(place, "", wrong, f"say {self.code.aliases[saying.event]}")
        for name in sorted(self.events.keys() - said - self.code.aliases.keys()):
            if (service := self.events[name]["producer"]) in self.code.services:
                wrong = f"{name} is registered, and nothing in {service} says it"
                yield Problem(self.registry, pointer("events", name), wrong, "publish it, or take it out")

    def _alias(self, alias: str, name: str) -> Iterator[Problem]:
        if alias not in self.known or name not in self.known:
            missing = name if alias in self.known else alias
            wrong = f"{alias} is an alias of {name}, and {missing} is not registered"
            yield Problem(self.registry, "/events", wrong, "register both, or neither")
        elif alias in self.schemas and name in self.schemas and not _same(self.schemas[alias], self.schemas[name]):
            wrong = f"{alias} is an alias of {name}, and their schemas differ"
            yield Problem(self._schema(alias), "", wrong, f"copy the schema of {name}")

    def _readers(self) -> Iterator[Problem]:
        for service, structs in self.code.readers.items():
            heard = [self.schemas[s.EVENT].get("properties", {}) for s in structs if s.EVENT in self.schemas]
            promised = {name for properties in heard for name in properties}
            for struct in structs:
                name, file = struct.EVENT, self.code.place(struct)
                if name not in self.known:
                    wrong = f"{service} handles {name!r}, which is not registered{nearest(name, self.known)}"
                    yield Problem(file, "", wrong, f"add it to {self.registry}, or correct EVENT of {struct.__name__}")
                elif name in self.events and service not in self.events[name]["consumers"]:
                    wrong = f"{service} handles {name} and is not among its consumers"
                    yield Problem(self.registry, pointer("events", name, "consumers"), wrong, "add it there")
                if name in self.schemas:
                    for demand in reader_asks_too_much(struct, self.schemas[name], promised):
                        wrong = f"{service} asks too much: {demand.wrong} ({struct.__name__}, {file})"
                        yield Problem(self._schema(name), demand.pointer, wrong, demand.mend)

    def _schema(self, name: str) -> str:
        return f"{self.registry.rsplit('/', 1)[0]}/{self.events[name]['schema_file']}"


def _same(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Whether two schemas promise the same, whatever they say of themselves."""
    about = {"$id", "title", "description", "$comment"}
    return {k: v for k, v in left.items() if k not in about} == {k: v for k, v in right.items() if k not in about}
