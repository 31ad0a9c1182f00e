"""Every event that was ever published, and the next ones: each consumer takes what it can and sets the rest aside."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dovecote.contracts import Contracts
from dovecote.contracts.examples import golden
from dovecote.database import Database, Voice
from dovecote.sql import Sql
from dovecote.testing import Bench
from ecom.contracts import CONTRACTS
from ecom.shop import Shop

RELEASED = CONTRACTS.parent / "released"
VERDICTS = Sql("SELECT event_id, outcome FROM consumed_event_record WHERE event_id = ANY($1::uuid[])")
LETTERS = Sql("SELECT event_id, event_type, status, error FROM dead_letter WHERE event_id = ANY($1::uuid[])")
# Understood and refused by name: an example's order was never paid for here.
NAMED = {("PARKED", "order.confirmed.v1")}
LATER = {"addedLater": {"deep": [1, None, "é"]}, "x-note": None, "amountInWords": "many"}


@dataclass(frozen=True)
class Golden:
    """One example of one release (or of today's registry)."""

    release: str
    event_type: str
    name: str
    payload: dict[str, Any]


def corpus() -> Iterator[Golden]:
    """Every example of every release, and today's."""
    for folder in [CONTRACTS, *sorted(path for path in RELEASED.iterdir() if path.is_dir())]:
        for event_type, examples in golden(folder).items():
            for name, value in examples.items():
                yield Golden(_release(folder), event_type, name, json.loads(value))


def _release(folder: Path) -> str:
    return "today" if folder == CONTRACTS else folder.name


def enveloped(event_type: str, payload: Any, **more: Any) -> tuple[str, bytes]:
    """An envelope with an id of its own, and that id."""
    event_id = str(uuid4())
    envelope = {
        "eventId": event_id,
        "eventType": event_type,
        "occurredAt": "2026-02-03T04:05:06.789Z",
        "producer": "somebody",
        "schemaVersion": event_type.rsplit(".", 1)[-1],
        "payload": payload,
        **more,
    }
    return event_id, json.dumps(envelope).encode()


@pytest.fixture(scope="module")
def contracts() -> Contracts:
    """The contracts as services load them."""
    return Contracts.load(CONTRACTS)


@asynccontextmanager
async def opened(service: str, url: str, contracts: Contracts) -> AsyncIterator[Bench]:
    """A service's handlers on its migrated schema."""
    blueprint = Shop.of([service], {}).built[service].blueprint
    database = await Database.connect(url, schema=blueprint.schema, voice=Voice(blueprint.name, contracts, {}))
    try:
        yield Bench(blueprint, database)
    finally:
        await database.close()


def test_the_corpus_is_whole() -> None:
    """Today's registry and every release are in it, and each event at least twice in each."""
    found = list(corpus())
    releases = {each.release for each in found}
    assert "today" in releases
    assert len(releases) >= 2
    for release in releases:
        kinds = [each.event_type for each in found if each.release == release]
        assert len(set(kinds)) >= 15
        assert all(kinds.count(kind) >= 2 for kind in kinds)


@pytest.mark.parametrize("service", ["order", "payment", "inventory", "notification", "search"])
async def test_each_consumer_hears_all_that_was_ever_published(
    service: str, contracts: Contracts, module_database_url: str
) -> None:
    """F1: every released example that a service hears is handled, with fields nobody knows yet in it or without.

    A newer major version of the same event, and an event of a name nobody has registered, are dead letters that say
    so; what stands beside them in the same batch is handled.
    """
    async with opened(service, module_database_url, contracts) as bench:
        handled: list[str] = []
        unknown: dict[str, str] = {}
        messages = []
        for each in corpus():
            if each.event_type not in bench.blueprint.handlers.routes:
                continue
            next_type = f"{each.event_type.rsplit('.', 1)[0]}.v9"
            known = [
                enveloped(each.event_type, each.payload),
                enveloped(each.event_type, {**each.payload, **LATER}, addedLater=LATER, tenant=None),
            ]
            strangers = [
                (enveloped(next_type, each.payload), f"No handler of this service reads {next_type}."),
                (enveloped("order.teleported.v1", each.payload), "No handler of this service reads order.tele"),
                (
                    enveloped(each.event_type, each.payload, schemaVersion="v9"),
                    f"The event is {each.event_type}, and its schemaVersion is v9.",
                ),
            ]
            handled += [event_id for event_id, _ in known]
            unknown |= {event_id: why for (event_id, _), why in strangers}
            for _, value in [known[0], *(stranger for stranger, _ in strangers), known[1]]:
                messages.append(bench.raw(each.event_type, value))
        assert handled, "the service hears something"
        await bench.deliver(*messages)
        letters = {str(row["event_id"]): row for row in await bench.database.fetch(LETTERS, [*handled, *unknown])}
        refused = [letters[event_id] for event_id in letters.keys() & set(handled)]
        assert [row["error"] for row in refused if (row["status"], row["event_type"]) not in NAMED] == []
        for event_id, why in unknown.items():
            assert letters[event_id]["status"] == "DEAD"
            assert letters[event_id]["error"].startswith(why)
        verdicts = {str(row["event_id"]): row["outcome"] for row in await bench.database.fetch(VERDICTS, handled)}
        assert len(verdicts) == len(handled)
        assert list(verdicts.values()).count("PARKED") == len(refused)
