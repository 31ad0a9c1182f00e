"""The services that hear an event: which fields their Structs read, and which of them an event breaks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from dovecote.contracts.compatibility.normal import Path
from dovecote.events import Event

Readers = Mapping[str, Sequence[type[Event]]]
Field = tuple[str, ...]
"""Names of fields from the payload inwards, e.g. ("items", "sku"); arrays and maps have no name of their own."""
# How msgspec ends a sentence about what does not fit, and how it names a field that is not there.
_PLACE = re.compile(r" - at `(\$[^`]*)`$")
_MISSING = re.compile(r"missing required field `([^`]*)`")
ANY: Field = ("*",)
"""Below this everything is read: the Struct takes whatever is there."""


class Consumers:
    """Who hears one event, and through which Structs."""

    def __init__(self, event: str, readers: Readers) -> None:
        self.structs = {
            service: found
            for service, structs in readers.items()
            if (found := tuple(struct for struct in structs if event == struct.EVENT))
        }

    def refusing(self, payload: Any, about: Field) -> set[str]:
        """The services of which a Struct cannot be made from a payload, for what stands at, in or around a field."""
        text = json.dumps(payload).encode()
        refusals = {
            service: [refused for struct in structs if (refused := _refused_field(struct, text)) is not None]
            for service, structs in self.structs.items()
        }
        return {service for service, found in refusals.items() if any(_related(one, about) for one in found)}

    def reading(self, field: Field) -> set[str]:
        """The services that read a field, or something in it; everyone who hears the event for ()."""
        return {
            service
            for service, structs in self.structs.items()
            if any(_reads(read, field) for struct in structs for read in fields(struct))
        }


def field(path: Path) -> Field:
    """The field that a path into a schema leads to."""
    names: list[str] = []
    at = 0
    while at < len(path):
        if path[at] == "properties" and at + 1 < len(path):
            names.append(str(path[at + 1]))
        # A field may itself be called properties, so a name is stepped over together with its keyword.
        at += 2 if path[at] in {"properties", "patternProperties", "dependentSchemas", "$defs"} else 1
    return tuple(names)


def fields(struct: type[Event]) -> frozenset[Field]:
    """Every field that a Struct reads, by its JSON name, nested ones too."""
    return frozenset({()} | set(_inside(msgspec.inspect.type_info(struct), (), ())))


def _inside(kind: msgspec.inspect.Type, at: Field, inside: tuple[type, ...]) -> Iterator[Field]:
    if isinstance(kind, msgspec.inspect.StructType):
        if kind.cls in inside:
            yield (*at, *ANY)  # a Struct that holds itself reads at any depth
            return
        for one in kind.fields:
            yield (*at, one.encode_name)
            yield from _inside(one.type, (*at, one.encode_name), (*inside, kind.cls))
    elif isinstance(kind, msgspec.inspect.UnionType):
        for member in kind.types:
            yield from _inside(member, at, inside)
    elif isinstance(kind, msgspec.inspect.TupleType):
        for member in kind.item_types:
            yield from _inside(member, at, inside)
    elif isinstance(kind, msgspec.inspect.CollectionType):
        yield from _inside(kind.item_type, at, inside)
    elif isinstance(kind, msgspec.inspect.AnyType | msgspec.inspect.RawType | msgspec.inspect.DictType):
        yield (*at, *ANY)


def _reads(read: Field, field: Field) -> bool:
    """Whether reading one field means reading another one: the same, or what lies in or around it."""
    if read[-1:] == ANY:
        return read[:-1] == field[: len(read) - 1] or field == read[: len(field)]
    return read[: len(field)] == field


def _related(one: Field, other: Field) -> bool:
    """Whether one of two fields lies in the other."""
    length = min(len(one), len(other))
    return one[:length] == other[:length]


def _refused_field(struct: type[Event], text: bytes) -> Field | None:
    """The field for which a payload does not fit a Struct; None where it fits."""
    try:
        _decoder(struct).decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        place = _PLACE.search(str(error))
        missing = _MISSING.search(str(error))
        names = re.sub(r"\[[^\]]*\]", "", place[1]).split(".")[1:] if place else []
        return (*names, *([missing[1]] if missing else ()))
    return None


@lru_cache(maxsize=256)
def _decoder(struct: type[Event]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(struct)
