"""A bug in a handler, as a bad release brings one: some events fail, whatever is tried, until it is mended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from dovecote import telemetry
from dovecote.handlers import Route
from dovecote.term import ProducerDied

CURSE = "simulated bug"


class Cursed(RuntimeError):
    """What the bad release raises."""


class Curses:
    """Which events fail, how often still, and what went wrong that nobody had foreseen."""

    def __init__(self) -> None:
        self.left: dict[UUID, int] = {}
        self.surprises: list[str] = []

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

    Route.run = cursed  # type: ignore[method-assign]
    telemetry.loop_died = CURSES.surprise
    telemetry.job_failed = lambda name, error: CURSES.surprise(f"job {name}", error)
    telemetry.call_failed = lambda kind, error: CURSES.surprise(f"call {kind}", error)
    telemetry.record_failed = lambda kind, error: CURSES.surprise(f"record {kind}", error)
    telemetry.relay_failed = lambda service, error: CURSES.surprise(f"relay of {service}", error)
    telemetry.bisected = lambda group, messages, error: CURSES.surprise(f"{messages} messages of {group}", error)
