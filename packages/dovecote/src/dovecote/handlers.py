"""Which coroutine handles which event: registration is one visible decorator."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from dovecote.contracts.refusal import place_of
from dovecote.database import Transaction
from dovecote.errors import ContractError, EnvelopeError
from dovecote.events import Delivery, Event

E = TypeVar("E", bound=Event)
Handler = Callable[[Transaction, Sequence[Delivery[E]]], Awaitable[None]]


@dataclass(frozen=True)
class Route:
    """One event type, the Struct it is read through, and the coroutine that handles its batches."""

    struct: type[Event]
    handle: Callable[[Transaction, Sequence[Delivery[Any]]], Awaitable[None]]
    decoder: msgspec.json.Decoder[Any]

    def decode(self, payload: msgspec.Raw) -> Event:
        """The payload as the handler's Struct; raises EnvelopeError with the JSON pointer of what does not fit."""
        try:
            return self.decoder.decode(payload)  # type: ignore[no-any-return]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            place, why = place_of(error)
            at = f" at {place}" if place else ""
            raise EnvelopeError(f"The payload of {self.struct.EVENT} cannot be read{at}: {why}") from error

    async def run(self, tx: Transaction, deliveries: Sequence[Delivery[Any]]) -> None:
        """Call the coroutine. A cancellation that nobody asked for is its own error, and must not end the consumer."""
        try:
            await self.handle(tx, deliveries)
        except asyncio.CancelledError as stray:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise RuntimeError("The handler let out a cancellation of its own making.") from stray


class Handlers:
    """The handlers of one service, one an event type."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}

    def on(self, struct: type[E]) -> Callable[[Handler[E]], Handler[E]]:
        """Register a coroutine for the event type of a Struct (the writer's, or a narrower one of your own).

        Raises ContractError where the Struct names no event or the event has a handler already.
        """
        if not struct.EVENT:
            raise ContractError(f"{struct.__name__} names no event; set EVENT on it.")
        if struct.EVENT in self.routes:
            raise ContractError(f"{struct.EVENT} has a handler already.")

        def register(handler: Handler[E]) -> Handler[E]:
            self.routes[struct.EVENT] = Route(struct, handler, msgspec.json.Decoder(struct))
            return handler

        return register

    @property
    def event_types(self) -> list[str]:
        """The event types that are handled."""
        return list(self.routes)
