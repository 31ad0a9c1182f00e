"""Configuration: frozen values, read once at the edge from YAML and the environment.

``app.kafka.topics.order-created`` in YAML is ``APP_KAFKA_TOPICS_ORDERCREATED`` in the environment, and
``ORDER__APP_…`` addresses one service. ``${NAME:default}`` is resolved. The environment wins.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar, get_origin

import msgspec
import structlog
import yaml

from dovecote.errors import SettingsError

log = structlog.get_logger("dovecote.settings")

# Roots of other frameworks that are honoured, with their defaults; everything else there is ignored.
FOREIGN = {
    "server.port": 8080,
    "server.address": "127.0.0.1",
    "spring.kafka.bootstrap-servers": "",
    "spring.mail.host": "localhost",
    "spring.mail.port": 1025,
    "spring.mail.username": "",
    "spring.mail.password": "",
}
_PLACEHOLDER = re.compile(r"\$\{([A-Za-z0-9_]+)(?::([^}]*))?\}")


class Group(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """A group of keys; a subclass repeats ``frozen=True, kw_only=True`` and gives each key its default."""


class KafkaSettings(Group, frozen=True, kw_only=True):
    """``app.kafka``: topics by event, how missing ones are made, which group protocol, how long events are gathered."""

    topics: dict[str, str] = {}
    partitions: int = 6
    replication_factor: int = -1
    group_protocol: Literal["auto", "consumer", "classic"] = "auto"
    event_bytes_max: int = 1_048_576
    gather_millis: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0


class OutboxSettings(Group, frozen=True, kw_only=True):
    """``app.outbox``: how often an unclassified failure is tried before a record is FAILED."""

    max_retry: int = 5


class CleanupSettings(Group, frozen=True, kw_only=True):
    """``app.cleanup``: how long what is done stays."""

    fixed_delay: timedelta = timedelta(hours=6)
    outbox_sent_retention: timedelta = timedelta(days=7)
    outbox_failed_retention: timedelta = timedelta(days=30)
    dedup_retention: timedelta = timedelta(days=31)


class DeadLetterSettings(Group, frozen=True, kw_only=True):
    """``app.dead-letter``: how a surprising event is tried again."""

    max_attempts: int = 5
    first_delay: timedelta = timedelta(seconds=5)
    max_delay: timedelta = timedelta(minutes=10)


class AdminSettings(Group, frozen=True, kw_only=True):
    """``app.admin``: the token that operators' paths need beyond loopback."""

    token: str = ""


class App(Group, frozen=True, kw_only=True):
    """``app``: the library's keys. A service subclasses it and adds its own groups."""

    kafka: KafkaSettings = KafkaSettings()
    outbox: OutboxSettings = OutboxSettings()
    cleanup: CleanupSettings = CleanupSettings()
    dead_letter: DeadLetterSettings = DeadLetterSettings()
    admin: AdminSettings = AdminSettings()


T = TypeVar("T", bound=App)


@dataclass(frozen=True)
class Settings(Generic[T]):
    """All that a service was told: its ``app`` keys, its HTTP address, and the honoured foreign keys."""

    app: T
    port: int
    address: str
    root: Mapping[str, Any]


def load(kind: type[T], *, service: str, yaml: Path, environ: Mapping[str, str]) -> Settings[T]:
    """Read a service's settings: defaults, then its YAML, then the environment.

    ``service`` is the short name ("order") that ORDER__APP_… addresses.
    Raises SettingsError naming the key and, for an unknown one, the nearest that exists.
    """
    given = dict(_flatten(_read(yaml)))
    app = {key: value for key, value in given.items() if key.startswith("app.")}
    foreign = {key: value for key, value in given.items() if not key.startswith("app.")}
    for root in sorted({key.split(".")[0] for key in foreign if key not in FOREIGN}):
        log.info("configuration ignored", file=yaml.name, root=root)
    known = {*_keys(kind), *app}
    _refuse_unknown(kind, app, yaml)
    overrides = _overrides(known | set(FOREIGN), service, environ)
    tree = _unflatten({**app, **{k: v for k, v in overrides.items() if k.startswith("app.")}}, environ)
    try:
        value = msgspec.convert(tree.get("app", {}), kind, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"The configuration of {service} ({yaml.name} and environment): {error}") from error
    roots = {key: _resolve(overrides.get(key, foreign.get(key, default)), environ) for key, default in FOREIGN.items()}
    try:
        return Settings(value, int(roots["server.port"]), str(roots["server.address"]), roots)
    except ValueError as error:
        raise SettingsError(f"server.port of {service} is not a number: {roots['server.port']!r}") from error


def topic_key(event_type: str) -> str:
    """The key under ``app.kafka.topics`` of an event: ``order.created.v1`` → ``order-created``."""
    return event_type.rsplit(".", 1)[0].replace(".", "-")


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(f"{path.name} cannot be read: {error}") from error


def _flatten(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _flatten(value, f"{prefix}{key}.")
    else:
        yield prefix[:-1], tree


def _keys(kind: type[msgspec.Struct], prefix: str = "app.") -> Iterator[str]:
    for field in msgspec.structs.fields(kind):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from _keys(field.type, f"{prefix}{field.encode_name}.")
        else:
            yield prefix + field.encode_name


def _open_groups(kind: type[msgspec.Struct], prefix: str = "app.") -> Iterator[str]:
    """Groups whose keys are names of the user's choice (a dict), e.g. ``app.kafka.topics.``."""
    for field in msgspec.structs.fields(kind):
        if get_origin(field.type) is dict:
            yield f"{prefix}{field.encode_name}."
        elif isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from _open_groups(field.type, f"{prefix}{field.encode_name}.")


def _refuse_unknown(kind: type[msgspec.Struct], given: Mapping[str, Any], path: Path) -> None:
    known, groups = list(_keys(kind)), tuple(_open_groups(kind))
    for key in given:
        if key not in known and not key.startswith(groups):
            near = difflib.get_close_matches(key, known, 1, 0.0)
            raise SettingsError(f"{path.name}: unknown key {key}; the nearest is {near[0] if near else 'none'}.")


def _variable(key: str) -> str:
    return key.replace("-", "").replace(".", "_").upper()


def _overrides(known: set[str], service: str, environ: Mapping[str, str]) -> dict[str, str]:
    by_variable = {_variable(key): key for key in known}
    own = f"{service.upper().replace('-', '_')}__"
    found: dict[str, str] = {}
    for prefix in ("", own):  # the service's own variables last: they win
        for name, value in environ.items():
            if prefix and not name.startswith(prefix):
                continue
            variable = name[len(prefix) :]
            if variable in by_variable:
                found[by_variable[variable]] = value
            elif variable.startswith("APP_"):
                # Meant for this service alone, it is a slip; for all, it may be another service's key.
                report = log.warning if prefix else log.debug
                report("variable names no key of this service", variable=name, service=service)
    return found


def _resolve(value: Any, environ: Mapping[str, str]) -> Any:
    if not isinstance(value, str):
        return value
    return _PLACEHOLDER.sub(lambda m: environ.get(m[1], m[2] if m[2] is not None else ""), value)


def _unflatten(flat: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        *path, last = key.split(".")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[last] = _resolve(value, environ)
    return tree

