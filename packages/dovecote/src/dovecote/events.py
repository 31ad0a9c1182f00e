"""Events as values: the payload a writer states, and the delivery a reader is handed.

Structs rather than dataclasses: a frozen dataclass takes five times as long to make, and these are made for each event.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Generic, Protocol, TypeVar
from uuid import UUID

import msgspec


class Event(msgspec.Struct, frozen=True, rename="camel", kw_only=True, omit_defaults=True):
    """A payload. A subclass repeats ``frozen=True`` and sets EVENT, e.g. ``order.created.v1``.

    Decimals travel as strings, instants as RFC 3339 in UTC, optional fields are left out rather than null.
    """

    EVENT: ClassVar[str] = ""


E = TypeVar("E", bound=Event)
E_co = TypeVar("E_co", bound=Event, covariant=True)


class Traced(Protocol):
    """Whatever an event can be caused by: a delivery, an intent, an HTTP request."""

    @property
    def trace_id(self) -> str:
        """The id that every event of one story shares."""


class Cause(msgspec.Struct, frozen=True):
    """A cause that is not an event, e.g. an HTTP request with a traceparent."""

    trace_id: str


class Aggregate(msgspec.Struct, frozen=True):
    """Whose event it is. ``sequence`` says: the aggregate's n-th event, counted under the aggregate's row lock."""

    type: str
    id: str
    sequence: int


class Delivery(msgspec.Struct, Generic[E_co], frozen=True, gc=False):
    """One event as a handler gets it: admitted by the inbox, decoded through the handler's own Struct."""

    event: E_co
    event_id: UUID
    event_type: str
    occurred_at: datetime
    producer: str
    trace_id: str
    topic: str
    partition: int
    offset: int
    key: str
    sequence: int | None
