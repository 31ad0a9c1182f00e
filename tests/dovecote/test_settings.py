"""Settings: YAML, environment, placeholders and durations become one frozen value, or one clear sentence."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
import structlog

from dovecote.errors import SettingsError
from dovecote.service import check_retention
from dovecote.settings import App, CleanupSettings, Group, KafkaSettings, load, topic_key
from tests.dovecote import sample


class SagaSettings(Group, frozen=True, kw_only=True):
    payment_timeout: timedelta = timedelta(minutes=15)
    strict: bool = True


class OrderApp(App, frozen=True, kw_only=True):
    saga: SagaSettings = SagaSettings()


@pytest.fixture
def yaml(tmp_path: Path) -> Path:
    """A service's file with a bit of everything."""
    path = tmp_path / "application.yml"
    path.write_text(
        """
server:
  port: ${PORT:8081}
spring:
  kafka:
    bootstrap-servers: broker:9092
  jpa:
    open-in-view: false
app:
  kafka:
    topics:
      order-created: ${CREATED_TOPIC:order.created.v1}
    partitions: 3
  saga:
    payment-timeout: PT15M
"""
    )
    return path


def test_without_a_word_the_defaults_hold(tmp_path: Path) -> None:
    """An empty file gives every default of the wire contract."""
    (tmp_path / "application.yml").write_text("")
    settings = load(OrderApp, service="order", yaml=tmp_path / "application.yml", environ={})
    assert settings.app == OrderApp()
    assert (settings.port, settings.address) == (8080, "127.0.0.1")
    cleanup = settings.app.cleanup
    assert (cleanup.fixed_delay, cleanup.outbox_sent_retention, cleanup.dedup_retention) == (
        timedelta(hours=6),
        timedelta(days=7),
        timedelta(days=31),
    )
    assert settings.app.outbox.max_retry == 5


def test_the_file_is_read(yaml: Path) -> None:
    """Kebab keys, nested groups, ISO 8601 durations and the honoured foreign roots arrive; a foreign one is ignored."""
    settings = load(OrderApp, service="order", yaml=yaml, environ={})
    assert settings.app.kafka.topics == {"order-created": "order.created.v1"}
    assert settings.app.kafka.partitions == 3
    assert settings.app.saga.payment_timeout == timedelta(minutes=15)
    assert settings.port == 8081
    assert settings.root["spring.kafka.bootstrap-servers"] == "broker:9092"


def test_placeholders_are_resolved(yaml: Path) -> None:
    """`${NAME:default}` is the variable where it is set, else the default."""
    settings = load(OrderApp, service="order", yaml=yaml, environ={"CREATED_TOPIC": "shop.orders", "PORT": "9000"})
    assert settings.app.kafka.topics == {"order-created": "shop.orders"}
    assert settings.port == 9000


def test_the_environment_wins(yaml: Path) -> None:
    """A key is its variable without dashes, dots as underscores; the environment beats file and default."""
    environ = {
        "APP_KAFKA_TOPICS_ORDERCREATED": "renamed",
        "APP_OUTBOX_MAXRETRY": "9",
        "APP_SAGA_PAYMENTTIMEOUT": "PT2.5S",
        "APP_SAGA_STRICT": "false",
        "SERVER_PORT": "8123",
        "SPRING_KAFKA_BOOTSTRAPSERVERS": "elsewhere:1",
    }
    settings = load(OrderApp, service="order", yaml=yaml, environ=environ)
    assert settings.app.kafka.topics == {"order-created": "renamed"}
    assert settings.app.outbox.max_retry == 9
    assert settings.app.saga == SagaSettings(payment_timeout=timedelta(seconds=2.5), strict=False)
    assert (settings.port, settings.root["spring.kafka.bootstrap-servers"]) == (8123, "elsewhere:1")


def test_a_variable_may_address_one_service(yaml: Path) -> None:
    """ORDER__APP_… is for the order service alone, and beats the variable for all."""
    environ = {
        "APP_OUTBOX_MAXRETRY": "1",
        "ORDER__APP_OUTBOX_MAXRETRY": "7",
        "ORDER__SERVER_PORT": "8999",
        "PAYMENT__APP_OUTBOX_MAXRETRY": "8",
    }
    order = load(OrderApp, service="order", yaml=yaml, environ=environ)
    stock = load(OrderApp, service="stock", yaml=yaml, environ=environ)
    assert (order.app.outbox.max_retry, order.port) == (7, 8999)
    assert (stock.app.outbox.max_retry, stock.port) == (1, 8081)


def test_a_variable_that_names_no_key_is_warned_of(yaml: Path) -> None:
    """A slip in a variable that addresses this service is a warning; one for all may be another service's key."""
    environ = {"ORDER__APP_SAGA_PAYMENTTIMOUT": "PT1M", "APP_INVENTORY_TTL": "PT1M", "PAYMENT__APP_X": "1"}
    with structlog.testing.capture_logs() as lines:
        load(OrderApp, service="order", yaml=yaml, environ=environ)
    assert [line["variable"] for line in lines if line["log_level"] == "warning"] == ["ORDER__APP_SAGA_PAYMENTTIMOUT"]


def test_an_unknown_key_names_the_nearest(yaml: Path) -> None:
    """A misspelt key stops the start, and the sentence names file, key and what was probably meant."""
    yaml.write_text("app:\n  saga:\n    payment-timout: PT1M\n")
    with pytest.raises(
        SettingsError,
        match=r"application\.yml: unknown key app\.saga\.payment-timout; the nearest is app\.saga\.payment-timeout\.",
    ):
        load(OrderApp, service="order", yaml=yaml, environ={})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("app: {saga: {payment-timeout: soon}}", r"The configuration of order .*payment-timeout"),
        ("app: {outbox: {max-retry: many}}", r"The configuration of order .*max-retry"),
        ("app: {kafka: {group-protocol: old}}", r"The configuration of order .*group-protocol"),
        ("server: {port: high}", r"server\.port of order is not a number: 'high'"),
        ("app: {saga: [", r"application\.yml cannot be read"),
    ],
)
def test_a_wrong_value_names_its_key(tmp_path: Path, text: str, sentence: str) -> None:
    """A value of the wrong kind is one sentence with the key in it, not a stack of a parser."""
    path = tmp_path / "application.yml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=sentence):
        load(OrderApp, service="order", yaml=path, environ={})


def test_settings_are_frozen(yaml: Path) -> None:
    """Nobody changes a setting after the start."""
    settings = load(OrderApp, service="order", yaml=yaml, environ={})
    with pytest.raises(AttributeError):
        settings.app.saga.strict = False  # type: ignore[misc]


def test_a_topic_key_is_the_event_without_its_version() -> None:
    """`app.kafka.topics.order-timed-out` is where order.timed-out.v1 goes."""
    assert topic_key("order.timed-out.v1") == "order-timed-out"


def test_a_topic_may_be_renamed_and_a_typo_there_is_refused() -> None:
    """A configured topic, prefixed, replaces the event's name; a key that names no event stops the start."""
    registry = sample.contracts()
    named = sample.blueprint(app=App(kafka=KafkaSettings(topics={"note-told": "gossip"})))
    assert named.topic_of(registry, "x_")["note.told.v1"] == "x_gossip"
    assert named.topic_of(registry)["note.pinned.v1"] == "note.pinned.v1"
    typo = sample.blueprint(app=App(kafka=KafkaSettings(topics={"note-tolled": "gossip"})))
    with pytest.raises(SettingsError, match=r"app\.kafka\.topics\.note-tolled of notes-service names no registered"):
        typo.topic_of(registry)


def test_an_inbox_that_forgets_too_early_is_refused() -> None:
    """The dedup retention must outlive the topics and the FAILED records, else an event could act twice."""
    week = timedelta(days=7).total_seconds() * 1000
    check_retention(CleanupSettings(), int(week))
    check_retention(CleanupSettings(), -1)
    with pytest.raises(SettingsError, match=r"app\.cleanup\.dedup-retention .* must be at least 40 days"):
        check_retention(CleanupSettings(), int(timedelta(days=40).total_seconds() * 1000))
    short = msgspec.structs.replace(CleanupSettings(), dedup_retention=timedelta(days=29))
    with pytest.raises(SettingsError, match="must be at least 30 days"):
        check_retention(short, int(week))
