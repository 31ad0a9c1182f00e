"""The AsyncAPI document: it says what registry, code and examples say, and the official parser takes it."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema_rs
import pytest

from dovecote.contracts.asyncapi import as_text, asyncapi
from dovecote.contracts.code import Code
from dovecote.contracts.draft07 import draft07
from dovecote.contracts.message import ENVELOPE, HEADERS, headers
from dovecote.contracts.sheet import Facts
from dovecote.contracts.snapshot import Snapshot
from dovecote.errors import ContractError
from dovecote.kafka import Outgoing
from ecom.contracts import CONTRACTS
from ecom.contracts.documents import DOCS, facts

Document = dict[str, Any]
Parse = Callable[[Mapping[str, Document]], dict[str, list[dict[str, str]]]]

TOP = "#/components/schemas/"


@pytest.fixture(scope="module")
def known() -> Facts:
    """What is known of the shop's events."""
    return facts()


@pytest.fixture(scope="module")
def document(known: Facts) -> Document:
    """The shop's document, as its file will hold it."""
    made: Document = json.loads(as_text(asyncapi(known, title="t", about="a")))
    return made


@pytest.fixture(scope="module")
def parse(system_part: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Parse:
    """Runs the official parser over documents; a user without it skips by name, CI fails."""
    node = system_part("node")
    if not (DOCS / "node_modules" / "@asyncapi" / "parser").is_dir():
        missing = "the AsyncAPI parser is not installed (cd docs && npm ci)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)

    def run(documents: Mapping[str, Document]) -> dict[str, list[dict[str, str]]]:
        folder = tmp_path_factory.mktemp("asyncapi")
        for name, content in documents.items():
            (folder / name).write_text(as_text(content), encoding="utf-8")
        argv = [node, str(DOCS / "check-asyncapi.js"), *documents]
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=100)
        assert done.stdout, done.stderr
        found: dict[str, list[dict[str, str]]] = json.loads(done.stdout)
        wrong = any(each["severity"] in {"error", "warning"} for told in found.values() for each in told)
        assert done.returncode == (1 if wrong else 0)
        return found

    return run


def errors(told: Sequence[Mapping[str, str]]) -> list[str]:
    """Where the parser found an error or a warning."""
    return [f"{each['path']}: {each['message']}" for each in told if each["severity"] in {"error", "warning"}]


def spoilt(document: Document, spoil: Callable[[Document], object]) -> Document:
    """A copy with one thing wrong."""
    broken = copy.deepcopy(document)
    spoil(broken)
    return broken


def test_the_official_parser_takes_the_document_and_refuses_broken_ones(document: Document, parse: Parse) -> None:
    """No error and no warning, whatever draft 07 says otherwise ($defs, tuples, dependencies) too.

    A reference to nothing, a wrong action, schema or binding is found where it is.
    """
    created = "order.created.v1"
    operation = f"order-service.send.{created}"
    told = parse(
        {
            "ours.json": document,
            "rich.json": asyncapi(rich_facts(), title="t", about="a"),
            "reference.json": spoilt(
                document, lambda d: d["operations"][operation]["channel"].update({"$ref": "#/channels/gone"})
            ),
            "action.json": spoilt(document, lambda d: d["operations"][operation].update(action="publish")),
            "schema.json": spoilt(document, lambda d: d["components"]["schemas"][created].update(type="strng")),
            "binding.json": spoilt(
                document, lambda d: d["channels"][created]["bindings"]["kafka"].update(partitions="many")
            ),
            "version.json": spoilt(document, lambda d: d["info"].pop("version")),
        }
    )
    assert errors(told["ours.json"]) == errors(told["rich.json"]) == []
    for name, place in {
        "reference.json": f"/operations/{operation}/channel",
        "action.json": f"/operations/{operation}/action",
        "schema.json": f"/components/schemas/{created}",
        "binding.json": f"/channels/{created}/bindings/kafka/partitions",
        "version.json": "/info",
    }.items():
        assert any(place in error for error in errors(told[name])), (name, told[name])


def test_every_registered_event_is_said_and_heard(known: Facts, document: Document) -> None:
    """Channels are topics with their partitions; who sends, who receives and the key are the registry's word."""
    operations = dict(document["operations"])
    for name, entry in known.contracts.events.items():
        alias_of = known.code.aliases.get(name)
        topic = alias_of or name
        channel = document["channels"][topic]
        assert channel["address"] == topic
        assert channel["bindings"]["kafka"]["partitions"] == 6
        assert channel["messages"][name] == {"$ref": f"#/components/messages/{name}"}
        message = document["components"]["messages"][name]
        assert f"The payload's {entry['key']}" in message["bindings"]["kafka"]["key"]["description"]
        if alias_of is None:
            sent = operations.pop(f"{entry['producer']}.send.{name}")
            assert (sent["action"], sent["channel"]["$ref"]) == ("send", f"#/channels/{topic}")
        for consumer in entry["consumers"]:
            heard = operations.pop(f"{consumer}.receive.{name}")
            assert (heard["action"], heard["channel"]["$ref"]) == ("receive", f"#/channels/{topic}")
            assert heard["bindings"]["kafka"]["groupId"]["enum"] == [consumer]
    assert operations == {}
    assert document["servers"]["kafka"]["host"] == "{host}:{port}"


def test_a_renamed_topic_is_the_channel(known: Facts) -> None:
    """The address is what the producer's configuration says, not the event's name."""
    topics = {**known.code.topics}
    topics["order-service"] = replace(topics["order-service"], named={"order-created": "orders.v1"})
    renamed = asyncapi(replace(known, code=replace(known.code, topics=topics)), title="t", about="a")
    assert "order.created.v1" not in renamed["channels"]
    assert list(renamed["channels"]["orders.v1"]["messages"]) == ["order.created.v1"]
    sent = renamed["operations"]["order-service.send.order.created.v1"]
    assert sent["channel"] == {"$ref": "#/channels/orders.v1"}


def test_examples_are_the_golden_ones_and_valid(known: Facts, document: Document) -> None:
    """Every golden payload stands in an envelope that keeps the message's own schema, which refuses others."""
    for name, message in document["components"]["messages"].items():
        validator = jsonschema_rs.Draft7Validator({**message["payload"], "components": document["components"]})
        payloads = {each["name"]: each["payload"] for each in message["examples"]}
        assert payloads.keys() == known.examples[name].keys() != set()
        for example, value in payloads.items():
            assert value["payload"] == json.loads(known.examples[name][example])
            assert validator.is_valid(value)
            assert not validator.is_valid({**value, "payload": {}})
            assert not validator.is_valid({**value, "eventType": "another.v1"})


def test_the_envelope_is_that_of_the_wire(document: Document) -> None:
    """The described fields are those that `encode` writes, no more and no fewer, all of them required."""
    value = document["components"]["messages"]["order.created.v1"]["examples"][0]["payload"]
    assert list(value) == list(ENVELOPE["properties"]) == ENVELOPE["required"]
    assert jsonschema_rs.Draft7Validator(dict(ENVELOPE), validate_formats=True).is_valid(value)


def test_the_headers_are_those_of_the_relay() -> None:
    """Names and values of the described headers are what the relay hands to Kafka for the same trace and sequence."""
    trace = UUID(int=7).hex
    sent = {name: content.decode() for name, content in Outgoing(1, "t", "k", b"{}", trace, 3).headers}
    assert sent == headers(trace, 3)
    assert sent.keys() == HEADERS["properties"].keys()
    assert jsonschema_rs.Draft7Validator(dict(HEADERS)).is_valid(sent)


RICH: Document = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "urn:rich",
    "type": "object",
    "properties": {
        "price": {"$ref": "#/$defs/money", "maxLength": 5},
        "point": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "integer"}], "items": False},
        "tree": {"$ref": "#/$defs/tree"},
    },
    "dependentRequired": {"price": ["currency"]},
    "$defs": {
        "money": {"type": "string", "pattern": "^[0-9.]+$"},
        "tree": {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}},
    },
}


def rich_facts(schema: Document = RICH) -> Facts:
    """A project with one event, whose schema says what draft 07 has other words for."""
    entry = {"producer": "a-service", "consumers": [], "schema_version": "v1", "schema_file": "schemas/a.b.v1.json"}
    return Facts(Snapshot({"a.b.v1": entry}, {"a.b.v1": schema}), Code(), {"a.b.v1": {"full": b'{"point": [1, 2]}'}})


@pytest.mark.parametrize(
    ("payload", "valid"),
    [
        ({"price": "1.5", "currency": "EUR"}, True),
        ({"price": "1.5"}, False),
        ({"price": "123456", "currency": "EUR"}, False),
        ({"price": "x", "currency": "EUR"}, False),
        ({"point": [1, 2]}, True),
        ({"point": [1, "2"]}, False),
        ({"point": [1, 2, 3]}, False),
        ({"tree": {"children": [{"children": []}]}}, True),
        ({"tree": {"children": [{"children": [3]}]}}, False),
    ],
)
def test_draft_07_promises_the_same(payload: Document, *, valid: bool) -> None:
    """What 2020-12 accepts and refuses, the translation does at its place in the document."""
    assert jsonschema_rs.Draft202012Validator(RICH).is_valid(payload) is valid
    translated = draft07(RICH, "/components/schemas/a.b.v1")
    root = {"$ref": f"{TOP}a.b.v1", "components": {"schemas": {"a.b.v1": translated}}}
    assert jsonschema_rs.Draft7Validator(root).is_valid(payload) is valid


@pytest.mark.parametrize("keyword", ["unevaluatedProperties", "minContains", "$dynamicRef"])
def test_what_draft_07_cannot_say_is_refused(keyword: str) -> None:
    """No document that promises less than the contract: the error names the keyword and the event."""
    schema: Document = {"type": "object", "properties": {"a": {keyword: 1 if keyword == "minContains" else "#x"}}}
    if keyword == "unevaluatedProperties":
        schema["properties"]["a"] = {keyword: False}
    with pytest.raises(ContractError, match=r"a\.b\.v1.*" + keyword.replace("$", r"\$")):
        asyncapi(rich_facts(schema), title="t", about="a")


@pytest.mark.parametrize(
    ("entry", "schema", "words"),
    [
        ({"producer": 5}, RICH, "the registry's entry of a.b.v1"),
        ({"consumers": "a-service"}, RICH, "the registry's entry of a.b.v1"),
        ({}, [], "the schema of a.b.v1"),
        ({}, {"type": 5}, "the schema of a.b.v1"),
    ],
)
def test_broken_contracts_are_told_not_drawn(entry: Document, schema: Any, words: str) -> None:
    """A registry or schema that is none raises ContractError with the event's name, never another error."""
    facts = rich_facts()
    events = {"a.b.v1": {**facts.contracts.events["a.b.v1"], **entry}}
    with pytest.raises(ContractError, match=f"(?i){words}"):
        replace(facts, contracts=Snapshot(events, {"a.b.v1": schema})).sheets()


def test_a_broken_example_is_told(known: Facts) -> None:
    """A golden file that is no JSON is named."""
    broken = replace(known, examples={"order.created.v1": {"full": b"{"}})
    with pytest.raises(ContractError, match=r"order\.created\.v1.*no JSON"):
        asyncapi(broken, title="t", about="a")


def test_the_lock_names_no_registry_and_every_part_is_summed() -> None:
    """npm asks the registry that its user has configured; what it gets is held against a sum. No script runs."""
    packages = json.loads((DOCS / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    parts = {name: part for name, part in packages.items() if name}
    assert len(parts) > 100
    assert [name for name, part in parts.items() if "resolved" in part or "integrity" not in part] == []
    wanted = json.loads((DOCS / "package.json").read_text(encoding="utf-8"))["dependencies"]
    assert {name: parts[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert "ignore-scripts=true" in (DOCS / ".npmrc").read_text(encoding="utf-8").splitlines()


def test_the_contracts_are_where_the_documents_look() -> None:
    """The documents stand beside the contracts in one repository, so that their links hold."""
    assert Path(os.path.relpath(CONTRACTS, DOCS)).as_posix() == "../contracts/events"
