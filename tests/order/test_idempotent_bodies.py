"""Which bodies are the same under one Idempotency-Key: those that ask for the same order, however they are written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dovecote.database import Database
from tests.order.pricing import body, line
from tests.order.replicas import ORDERS, Replicas, counted, post

WHOLE = {**body(line("A", 1.5, quantity=2), line("B", 2)), "email": "a@b.example", "paymentMethod": "card"}


@pytest.mark.parametrize(
    "written",
    [
        json.dumps(WHOLE, indent=4),
        json.dumps(dict(reversed(WHOLE.items()))),
        json.dumps(WHOLE).replace("1.5", "1.50"),
        json.dumps(WHOLE).replace("1.5", "15e-1"),
        json.dumps(WHOLE).replace("1.5", '"1.500"'),
        json.dumps(WHOLE).replace('"A"', '"\\u0041"'),
        json.dumps({**WHOLE, "unknown": [1, {}]}),
    ],
)
async def test_json_that_is_written_otherwise_is_the_same_body(replicas: Replicas, written: str) -> None:
    """Spaces, the order of members, digits of the same number, escapes and unknown fields make no other order."""
    placed = await post(replicas[0], "k", WHOLE)
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    again = await replicas[1].post(ORDERS, content=written, headers=headers)
    assert (again.status_code, again.content) == (201, placed.content)


@pytest.mark.parametrize(
    "changes",
    [
        {"userId": 8},
        {"currency": "USD"},
        {"email": "c@b.example"},
        {"email": None},
        {"paymentMethod": "cash"},
        body(line("A", 1.5, quantity=2)),
        body(line("A", 1.5, quantity=3), line("B", 2)),
        body(line("A", 1.51, quantity=2), line("B", 2)),
        body(line("A", 1.5, quantity=2), line("B", 2, sku="C")),
        body(line("A", 1.5, quantity=2), line("C", 2, sku="B")),
        body(line("B", 2), line("A", 1.5, quantity=2)),
    ],
)
async def test_another_body_is_refused(replicas: Replicas, database: Database, changes: dict[str, Any]) -> None:
    """Whatever is asked for otherwise: 422, the field named, and nothing is placed."""
    assert (await post(replicas[0], "k", WHOLE)).status_code == 201
    for client in replicas:
        refused = await post(client, "k", {**WHOLE, **changes})
        assert (refused.status_code, refused.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
        assert refused.json()["field"] == "Idempotency-Key"
    assert (await counted(database))["orders"] == 1


@pytest.mark.parametrize("key", ["", "   ", "k" * 256])
async def test_a_useless_key_is_refused(replicas: Replicas, key: str) -> None:
    """An empty or endless key promises nothing: 400, the field named."""
    refused = await post(replicas[0], key)
    assert (refused.status_code, refused.json()["field"]) == (400, "Idempotency-Key")


async def test_a_body_that_is_refused_leaves_its_key_free(replicas: Replicas, database: Database) -> None:
    """400 uses nothing up: the mended body is placed under the same key."""
    assert (await post(replicas[0], "k", body(line("A", -1)))).status_code == 400
    assert (await counted(database))["keys"] == 0
    assert (await post(replicas[0], "k")).status_code == 201
