"""Facts of the library turned into log lines and metrics: the one file where their wording stands."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from prometheus_client import Counter, Gauge, Histogram

log = structlog.get_logger("dovecote")

OUTBOX_SENT = Counter("dovecote_outbox_sent_total", "Outbox records that Kafka has acknowledged.", ["service"])
OUTBOX_FAILED = Counter("dovecote_outbox_failed_total", "Outbox records that turned FAILED.", ["service"])
HANDLED = Counter("dovecote_events_handled_total", "Events by verdict.", ["group", "event_type", "outcome"])
BATCH = Histogram(
    "dovecote_batch_size", "Events a transaction handled.", ["group"], buckets=(1, 3, 10, 30, 100, 300, 1000)
)
RELAY_LEADER = Gauge("dovecote_relay_leader", "1 where this process holds the relay of a service.", ["service"])
LOOP_LAG = Gauge("dovecote_event_loop_lag_seconds", "How late the event loop ran its last timer.")
RETRIES = Counter("dovecote_environment_retries_total", "Batches repeated because the world failed.", ["what"])


def waiting(what: str, error: BaseException) -> None:
    """The environment failed; the same work is tried again."""
    RETRIES.labels(what).inc()
    log.warning("waiting for the environment", what=what, error=describe(error))


def loop_died(what: str, error: BaseException) -> None:
    """A loop ended by a defect of ours; it is started again."""
    log.error("loop died", what=what, error=describe(error), exc_info=error)


def bisected(group: str, messages: int, error: BaseException) -> None:
    """A batch raised; its halves are tried to find the guilty event."""
    log.warning("batch bisected", group=group, messages=messages, error=describe(error))


def dead_letter(group: str, topic: str, partition: int, offset: int, status: str, error: str) -> None:
    """An event was set aside."""
    log.error("dead letter", group=group, topic=topic, partition=partition, offset=offset, status=status, error=error)


def call_failed(kind: str, error: BaseException) -> None:
    """A worker's call raised; its intents come back when their lease ends."""
    log.error("intent call failed", kind=kind, error=describe(error))


def record_failed(kind: str, error: BaseException) -> None:
    """Answers could not be recorded; the same keys will be asked again."""
    log.error("intent answers not recorded", kind=kind, error=describe(error))


def job_failed(name: str, error: BaseException) -> None:
    """A periodic job raised; it runs again at its next turn."""
    log.error("job failed", job=name, error=describe(error))


def relay_started(service: str, epoch: int) -> None:
    """This process now sends the service's outbox."""
    RELAY_LEADER.labels(service).set(1)
    log.info("relay leads", service=service, epoch=epoch)


def relay_stopped(service: str, why: str) -> None:
    """This process no longer sends the service's outbox."""
    RELAY_LEADER.labels(service).set(0)
    log.info("relay stands by", service=service, why=why)


def relay_failed(service: str, error: BaseException) -> None:
    """A term ended by something that waiting alone may not mend; the relay starts again all the same."""
    log.error("relay failed", service=service, error=describe(error))


def record_refused(service: str, record: int, topic: str, error: str) -> None:
    """An outbox record turned FAILED; an operator may replay it."""
    OUTBOX_FAILED.labels(service).inc()
    log.error("outbox record failed", service=service, record=record, topic=topic, error=error)


def replayed(service: str, records: Sequence[int], actor: str) -> None:
    """An operator has set FAILED outbox records back."""
    log.warning("outbox records replayed", service=service, records=sorted(records), actor=actor)


def topic_paused(service: str, topic: str, error: str) -> None:
    """A topic cannot be written; its records stay PENDING and are tried again."""
    log.error("topic paused", service=service, topic=topic, error=error)


def offsets_dropped(group: str, why: str) -> None:
    """Offsets were not committed; the inbox absorbs the redelivery."""
    log.info("offsets dropped", group=group, why=why)


def describe(error: BaseException) -> str:
    """One line that names the error and says what it says."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
