"""What librdkafka repeats while a broker is away."""

from __future__ import annotations

import logging

from dovecote.kafka.chatter import KNOWN_MAX, SILENT_SECONDS, Chatter


def said(client: str, text: str) -> logging.LogRecord:
    """A line as confluent_kafka hands it to logging."""
    return logging.LogRecord("dovecote.kafka", logging.ERROR, "", 0, "%s [%s] %s", ("FAIL", client, text), None)


def refused(milliseconds: int) -> str:
    """What a client says of each attempt to connect."""
    return f"[thrd:h:9092/bootstrap]: Connect to h:9092 failed: Connection refused (after {milliseconds}ms)"


def test_the_same_line_passes_once_in_half_a_minute() -> None:
    """A client repeats itself unheard, other clients and other lines are heard, and it is heard again later."""
    now = 100.0
    chatter = Chatter(lambda: now)
    assert chatter.filter(said("rdkafka#consumer-1", refused(0)))
    assert not any(chatter.filter(said("rdkafka#consumer-1", refused(tries))) for tries in range(50))
    assert chatter.filter(said("rdkafka#consumer-2", refused(0)))
    assert chatter.filter(said("rdkafka#consumer-1", "[thrd:h:9092/1]: Disconnected"))
    now += SILENT_SECONDS
    assert chatter.filter(said("rdkafka#consumer-1", refused(3)))


def test_what_is_remembered_is_bounded() -> None:
    """Endless different lines pass, and are forgotten."""
    chatter = Chatter()
    for number in range(KNOWN_MAX * 2):
        assert chatter.filter(said("rdkafka#consumer-1", f"topic {'x' * (number + 1)}"))
    assert len(chatter._said) <= KNOWN_MAX
