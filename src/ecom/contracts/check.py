"""Binds the contract check to the shop: which modules hold writers, which services exist, where contracts are kept."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import ecom
from dovecote.contracts.code import Code, Saying, Topics, heard
from dovecote.contracts.source import sayings
from dovecote.events import Event
from ecom.contracts import CONTRACTS

ROOT = CONTRACTS.parents[1]
RELEASED = CONTRACTS.parent / "released"
REPORTS = ROOT / "build-artifacts"
ALIASES = {"notification.dead-letter.v1": "notification.dlq.v1"}
"""Names that the original writes for an event of ours: accepted, and never written by us."""


def read_code(environ: Mapping[str, str] | None = None) -> Code:
    """Ask the contract modules for their Structs, and every service, built as `environ` wants it, for what it hears.

    Without `environ` the services are as their files say. They are found by folder and imported by name: contracts must
    not depend on services (import contract). Raises SettingsError where a service's configuration is wrong.
    """
    written = {
        f"{module.name}-service": _structs(importlib.import_module(f"ecom.contracts.{module.name}"))
        for module in pkgutil.iter_modules([str(Path(__file__).parent)])
    }
    writers = {service: structs for service, structs in written.items() if structs}
    every = [struct for structs in writers.values() for struct in structs]
    readers: dict[str, tuple[type[Event], ...]] = {}
    topics: dict[str, Topics] = {}
    said: list[Saying] = []
    for root in map(Path, ecom.__path__):
        for place in sorted(root.glob("*/service.py")):
            blueprint = importlib.import_module(f"ecom.{place.parent.name}.service").build(environ or {}).blueprint
            readers[blueprint.name] = heard(blueprint.handlers)
            configuration = (place.parent / "application.yml").relative_to(ROOT).as_posix()
            topics[blueprint.name] = Topics(configuration, blueprint.app.kafka.topics)
            said += sayings(place.parent, blueprint.name, every, ROOT)
    return Code(writers, readers, topics, said, ALIASES, root=ROOT)


def _structs(module: ModuleType) -> tuple[type[Event], ...]:
    return tuple(
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Event) and kind.__module__ == module.__name__
    )
