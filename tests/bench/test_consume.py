"""`ecom bench consume`: a short cut, and the gate that a consumer keeps its part of PostgreSQL's bulk insert."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Command

# On a quiet machine it is a fifth of what one bulk insert reaches; three inserts and a transaction are in each message.
RATIO_MIN = 0.01


async def test_every_message_has_its_effect_and_its_answer_once(ecom: Command) -> None:
    """The bench itself counts rows of effect, inbox and outbox; the rate is a fair part of a bulk insert's."""
    code, out, err = await ecom.run("bench", "consume", "--messages", "10000", "--json")
    assert code == 0, err
    report = json.loads(out.splitlines()[-1])
    assert report["messages"] == 10_000
    assert report["rate_per_s"] >= report["sent_per_s"] > 0
    assert report["floor_per_s"] > report["rate_per_s"]
    assert report["insert_ratio"] == pytest.approx(report["rate_per_s"] / report["bulk_insert_per_s"], abs=0.01)
    assert report["insert_ratio"] > RATIO_MIN
