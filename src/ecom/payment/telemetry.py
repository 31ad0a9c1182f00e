"""Facts of payment turned into log lines and metrics: the one file where their wording stands."""

from __future__ import annotations

import structlog
from prometheus_client import Counter, Gauge

from ecom.payment.stages import Outcome, Stage

log = structlog.get_logger("ecom.payment")

RETRIES = Counter("payment_provider_retry", "Provider calls that will be made again with the same key.")
DEAD_LETTERS = Counter("payment_provider_dlq", "Operations shown to operators because the provider does not answer.")
REQUEUES = Counter("payment_provider_requeue", "Operators' requests to ask the provider again.", ["result"])
TOGGLES = Counter("payment_provider_outage_toggle", "Switches of the provider outage mode.", ["enabled"])
REMARKABLE = Counter("payment_remarkable", "What people should know of, by outcome of the state machine.", ["outcome"])
OLDEST_UNKNOWN = Gauge(
    "payment_provider_oldest_unknown_seconds", "Age of the longest open question to the provider; 0 where none is open."
)


def unanswered(operation: str, count: int, reasons: set[str]) -> None:
    """The provider was asked and gave no answer."""
    RETRIES.inc(count)
    log.warning("provider gave no answer", operation=operation, count=count, reasons=sorted(reasons))


def dead_letters(operation: str, count: int) -> None:
    """Questions have been open for so many tries that people should look."""
    DEAD_LETTERS.inc(count)
    log.error("provider dead letters", operation=operation, count=count)


def remarkable(outcome: Outcome, order_id: str, stage: Stage) -> None:
    """A payment was told something that it does not get over without people, or that nobody should have said."""
    REMARKABLE.labels(outcome.name).inc()
    log.warning("payment needs a look", outcome=outcome.name, why=outcome.value, order_id=order_id, stage=stage.value)


def requeued(*, found: bool) -> None:
    """An operator has something asked again, or tried to."""
    REQUEUES.labels("success" if found else "rejected").inc()


def switched(*, outage: bool) -> None:
    """An operator stops or allows calls to the provider."""
    TOGGLES.labels("true" if outage else "false").inc()
    log.warning("provider outage mode", enabled=outage)


def oldest_unknown(seconds: float, *, overdue: bool) -> None:
    """How long the longest question is open."""
    OLDEST_UNKNOWN.set(seconds)
    if overdue:
        log.error("provider owes an answer for too long", seconds=round(seconds))
