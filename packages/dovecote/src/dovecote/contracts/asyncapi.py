"""An AsyncAPI 3.0 document of a project's events: channels, operations of every service, messages, Kafka bindings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dovecote.contracts.draft07 import draft07
from dovecote.contracts.message import ENVELOPE, HEADERS, headers, sample
from dovecote.contracts.sheet import Facts, Hearer, Sheet
from dovecote.errors import ContractError

BINDING = "0.5.0"

Node = dict[str, Any]


def asyncapi(facts: Facts, *, title: str, about: str) -> Node:
    """The document; ``about`` says what a reader should know of the whole, in Markdown.

    Raises ContractError for contracts that the check would refuse, and for a schema that draft 07 cannot say.
    """
    sheets = facts.sheets()
    services = sorted({sheet.producer for sheet in sheets} | {one.service for sheet in sheets for one in sheet.hearers})
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": title,
            "version": facts.version,
            "description": about,
            "tags": [{"name": service} for service in services],
        },
        "defaultContentType": "application/json",
        "servers": {"kafka": _server()},
        "channels": _channels(sheets, facts.partitions),
        "operations": dict(operation for sheet in sheets for operation in _operations(sheet)),
        "components": {
            "messages": {sheet.event: _message(sheet) for sheet in sheets},
            "schemas": {
                "envelope": dict(ENVELOPE),
                "headers": dict(HEADERS),
                **{sheet.event: draft07(sheet.schema, f"/components/schemas/{sheet.event}") for sheet in sheets},
            },
        },
    }


def as_text(document: Mapping[str, Any]) -> str:
    """The document as its file holds it."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _server() -> Node:
    return {
        "host": "{host}:{port}",
        "protocol": "kafka",
        "description": "The Kafka cluster of the environment in question.",
        "variables": {
            "host": {"description": "Any broker of the cluster."},
            "port": {"description": "The port on which it listens.", "default": "9092"},
        },
    }


def _channels(sheets: Sequence[Sheet], partitions: int | None) -> Node:
    """One channel for each topic, with every event that may stand on it."""
    channels: Node = {}
    for sheet in sheets:
        kafka: Node = {"topic": sheet.topic, "bindingVersion": BINDING}
        if partitions is not None:
            kafka["partitions"] = partitions
        channel = channels.setdefault(
            sheet.topic,
            {
                "address": sheet.topic,
                "messages": {},
                "servers": [{"$ref": "#/servers/kafka"}],
                "bindings": {"kafka": kafka},
            },
        )
        channel["messages"][sheet.event] = {"$ref": f"#/components/messages/{sheet.event}"}
    return channels


def _operations(sheet: Sheet) -> Iterator[tuple[str, Node]]:
    if sheet.alias_of is None:
        yield f"{sheet.producer}.send.{sheet.event}", _operation("send", sheet.producer, sheet)
    for hearer in sheet.hearers:
        operation = _operation("receive", hearer.service, sheet)
        operation["bindings"] = {
            "kafka": {"groupId": {"type": "string", "enum": [hearer.service]}, "bindingVersion": BINDING}
        }
        yield f"{hearer.service}.receive.{sheet.event}", operation | _reading(hearer)


def _operation(action: str, service: str, sheet: Sheet) -> Node:
    verb = "says" if action == "send" else "hears"
    return {
        "action": action,
        "summary": f"{service} {verb} {sheet.event}",
        "channel": {"$ref": f"#/channels/{sheet.topic}"},
        "messages": [{"$ref": f"#/channels/{sheet.topic}/messages/{sheet.event}"}],
        "tags": [{"name": service}],
    }


def _reading(hearer: Hearer) -> Node:
    return {"description": f"Reads {', '.join(sorted(hearer.reads))}; ignores the rest."} if hearer.reads else {}


def _message(sheet: Sheet) -> Node:
    version = sheet.event.rsplit(".", 1)[-1]
    own = {
        "eventType": {"const": sheet.event},
        "schemaVersion": {"const": version},
        "payload": {"$ref": f"#/components/schemas/{sheet.event}"},
    }
    message: Node = {
        "name": sheet.event,
        "title": sheet.event,
        "summary": sheet.about or sheet.event,
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/headers"},
        "payload": {"allOf": [{"$ref": "#/components/schemas/envelope"}, {"type": "object", "properties": own}]},
        "correlationId": {
            "location": "$message.payload#/traceId",
            "description": "What all events of one story share.",
        },
        "tags": [{"name": sheet.producer}],
        "examples": [_example(sheet, name, payload) for name, payload in sheet.examples.items()],
    }
    if sheet.alias_of is not None:
        message["description"] = f"A second name of {sheet.alias_of}: accepted, and never written here."
    if sheet.key is not None:
        key = {"type": "string", "description": f"The payload's {sheet.key}: events of one key stay in order."}
        message["bindings"] = {"kafka": {"key": key, "bindingVersion": BINDING}}
    return message


def _example(sheet: Sheet, name: str, payload: bytes) -> Node:
    try:
        value = json.loads(sample(sheet.event, sheet.producer, name, payload))
    except (ValueError, RecursionError) as error:
        raise ContractError(f"examples/{sheet.event}/{name}.json is no JSON: {error}.") from error
    return {"name": name, "headers": headers(value["traceId"]), "payload": value}
