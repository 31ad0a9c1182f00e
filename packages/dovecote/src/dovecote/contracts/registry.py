"""Event contracts: the registry and its JSON Schemas, checked before an event may leave."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec

from dovecote.contracts.problem import pointer
from dovecote.errors import ContractError
from dovecote.events import Event

REGISTRY_FILE = "event-contracts.json"


@dataclass(frozen=True, slots=True)
class Contract:
    """One registered event: who says it, who hears it, and the schema of its payload."""

    type: str
    schema_version: str
    producer: str
    consumers: tuple[str, ...]
    schema: Mapping[str, Any]


class Contracts:
    """All registered events, each with a compiled validator (formats on)."""

    def __init__(self, contracts: Mapping[str, Contract]) -> None:
        self._contracts = contracts
        self._validators = {
            name: jsonschema_rs.Draft202012Validator(dict(contract.schema), validate_formats=True)
            for name, contract in contracts.items()
        }

    @classmethod
    def load(cls, folder: Path) -> Contracts:
        """Read the registry and every schema it names.

        Raises ContractError where the registry or a schema is missing or malformed.
        """
        path = folder / REGISTRY_FILE
        try:
            events = json.loads(path.read_text(encoding="utf-8"))["events"]
            return cls({name: _contract(folder, name, entry) for name, entry in events.items()})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ContractError(f"The contracts in {path} cannot be read: {error!r}.") from error

    def __iter__(self) -> Any:
        return iter(self._contracts)

    def entry(self, event_type: str) -> Contract:
        """The contract of an event type; raises ContractError for an unregistered one."""
        try:
            return self._contracts[event_type]
        except KeyError:
            raise _unregistered(event_type) from None

    def encode(self, event: Event) -> bytes:
        """The payload as it travels. Raises ContractError, naming the JSON pointer, where it breaks its schema.

        What is checked is what is written: the validator sees the strings that Decimals and instants become, and the
        bytes are made of them.
        """
        validator = self._validators.get(event.EVENT)
        if validator is None:
            raise _unregistered(event.EVENT)
        instance = msgspec.to_builtins(event, str_keys=True)
        if not validator.is_valid(instance):
            broken = next(iter(validator.iter_errors(instance)))
            place = pointer(*broken.instance_path)
            at = f" at {place}" if place else ""
            raise ContractError(f"{event.EVENT} breaks its schema{at}: {broken.message}")
        return msgspec.json.encode(instance)


def _unregistered(event_type: str) -> ContractError:
    return ContractError(f"{event_type} is not registered; add it to {REGISTRY_FILE}.")


def _contract(folder: Path, name: str, entry: Mapping[str, Any]) -> Contract:
    schema = json.loads((folder / entry["schema_file"]).read_text(encoding="utf-8"))
    return Contract(name, entry["schema_version"], entry["producer"], tuple(entry["consumers"]), schema)
