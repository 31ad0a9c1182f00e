"""A bug in a handler, as a bad release brings one: some events fail, whatever is tried, until it is mended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from dovecote import telemetry
from dovecote.handlers import Route
from dovecote.kafka import Failure
from dovecote.term import ProducerDied
from dovecote.transaction import Transaction

CURSE = "simulated bug"
TRIES = 5  # app.outbox.max-retry: so often an unclassified error is tried before a record is FAILED


class Cursed(RuntimeError):
    """What the bad release raises."""


class Curses:
    """Which events fail, how often still, and what went wrong that nobody had foreseen."""

    def __init__(self) -> None:
        self.left: dict[UUID, int] = {}
        self.surprises: list[str] = []
        self._refused: Counter[tuple[str, int]] = Counter()  # failed tries of a service's record
        self._replayed: Counter[tuple[str, int]] = Counter()
        self._effects: set[tuple[str, UUID]] = set()

    def begin(self) -> None:
        """A new run."""
        for each in (self.left, self.surprises, self._refused, self._replayed, self._effects):
            each.clear()

    def refuse(self, service: str, record: int, failure: Failure) -> None:
        """Kafka says no to a record: for good, or once more."""
        self._refused[service, record] += {Failure.RECORD: TRIES, Failure.OTHER: 1}.get(failure, 0)

    def replayed(self, service: str, records: Sequence[int]) -> None:
        """O14: a record is set back at most as often as it can have FAILED."""
        for record in records:
            self._replayed[service, record] += 1
            if self._replayed[service, record] * TRIES > self._refused[service, record]:
                self.surprises.append(f"O14: record {record} of {service} was replayed twice for one failure")

    def effect(self, service: str, handled: Sequence[UUID]) -> None:
        """I13: a transaction with handled events is committed; no event is in two of them."""
        for event_id in handled:
            if (service, event_id) in self._effects:
                self.surprises.append(f"I13: {service} has handled {event_id} twice")
            self._effects.add((service, event_id))

    def strike(self, deliveries: Sequence[Any]) -> None:
        """Raise where a cursed event is among them."""
        for delivery in deliveries:
            left = self.left.get(delivery.event_id, 0)
            if left > 0:
                self.left[delivery.event_id] = left - 1
                raise Cursed(CURSE)

    def lift(self) -> None:
        """The release is mended."""
        self.left.clear()

    def surprise(self, what: str, error: BaseException) -> None:
        """A loop met an error that it had no name for."""
        if CURSE not in str(error) and not isinstance(error, ProducerDied):
            self.surprises.append(f"surprise: {what}: {type(error).__name__}: {error}")


CURSES = Curses()


def install() -> None:
    """Let this process's handlers fall under curses, and its loops tell their surprises; for good."""
    run = Route.run

    async def cursed(self: Route, tx: Any, deliveries: Sequence[Any]) -> None:
        CURSES.strike(deliveries)
        await run(self, tx, deliveries)
        tx.handled = [each.event_id for each in deliveries if each.event_id not in tx.parked]

    committed = Transaction.committed

    def counted(self: Transaction) -> None:
        CURSES.effect(self._database.voice.producer, getattr(self, "handled", ()))
        committed(self)

    Transaction.committed = counted  # type: ignore[method-assign]
    Route.run = cursed  # type: ignore[method-assign]
    telemetry.replayed = lambda service, records, actor: CURSES.replayed(service, records)  # noqa: ARG005
    telemetry.loop_died = CURSES.surprise
    telemetry.job_failed = lambda name, error: CURSES.surprise(f"job {name}", error)
    telemetry.call_failed = lambda kind, error: CURSES.surprise(f"call {kind}", error)
    telemetry.record_failed = lambda kind, error: CURSES.surprise(f"record {kind}", error)
    telemetry.relay_failed = lambda service, error: CURSES.surprise(f"relay of {service}", error)
    telemetry.bisected = lambda group, messages, error: CURSES.surprise(f"{messages} messages of {group}", error)
