"""The table of names in DESIGN.md is true: a reader of the description finds each name where the table says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (?P<name>[\w.]+) \| (?P<file>[\w./]+\.\w+) \| (?P<word>[^|]+) \|$", re.MULTILINE)
NAMES = {match["name"]: match for match in ROW.finditer((ROOT / "DESIGN.md").read_text(encoding="utf-8"))}

# The names of the described system whose services exist here.
DESCRIBED = {
    "DomainEvent",
    "OutboxEventRecord",
    "OutboxPublisher",
    "ConsumedEventRecord",
    "PaymentResultConsumer",
    "InventoryReservationConsumer",
    "OrderCreatedConsumer",
    "InventorySagaConsumer",
    "OrderEventConsumer",
    "check_event_contracts.py",
}


def test_every_described_name_has_a_row() -> None:
    """No name of the description is missing from the table."""
    assert set(NAMES) >= DESCRIBED


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_row_is_true(name: str) -> None:
    """The file exists and holds the word that the table promises."""
    row = NAMES[name]
    assert row["word"] in (ROOT / row["file"]).read_text(encoding="utf-8")
