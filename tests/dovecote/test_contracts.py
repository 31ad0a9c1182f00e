"""The registry: what is said has a contract, and a broken registry says what is wrong with it."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from dovecote.contracts import Contracts
from dovecote.errors import ContractError
from tests.dovecote import sample
from tests.dovecote.sample import NoteTold


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the sample's registry, to be spoilt."""
    return Path(shutil.copytree(sample.CONTRACTS, tmp_path / "contracts"))


def test_the_registry_says_who_speaks_and_who_hears(contracts: Contracts) -> None:
    """An entry names its version, producer and consumers; a blueprint learns from it what it may say."""
    entry = contracts.entry("note.told.v1")
    assert (entry.schema_version, entry.producer, entry.consumers) == ("v1", sample.NOTES, (sample.BOARD,))
    assert sample.blueprint().published(contracts) == ["note.told.v1", "note.pinned.v1"]
    with pytest.raises(ContractError, match=r"note\.sung\.v1 is not registered; add it to event-contracts\.json"):
        contracts.entry("note.sung.v1")


def test_a_payload_is_checked_as_it_travels(contracts: Contracts) -> None:
    """camelCase names, Decimals as strings; the error names the field by JSON pointer."""
    contracts.encode(NoteTold(note_id="n", version=1, text="", price_paid=Decimal("10.00")))
    with pytest.raises(ContractError, match=r"note\.told\.v1 breaks its schema at /pricePaid: "):
        contracts.encode(NoteTold(note_id="n", version=1, text="", price_paid=Decimal("NaN")))
    with pytest.raises(ContractError, match="/noteId"):
        contracts.encode(NoteTold(note_id="", version=1, text=""))


@pytest.mark.parametrize("spoil", ["registry", "schema file", "schema text", "entry", "compile"])
def test_a_broken_registry_is_one_error(folder: Path, spoil: str) -> None:
    """Whatever is missing or malformed, the error is ours and names the registry or the event."""
    registry, schema = folder / "event-contracts.json", folder / "schemas" / "note.told.v1.json"
    match spoil:
        case "registry":
            registry.unlink()
        case "schema file":
            schema.unlink()
        case "schema text":
            schema.write_text("{")
        case "entry":
            events = json.loads(registry.read_text())
            del events["events"]["note.told.v1"]["producer"]
            registry.write_text(json.dumps(events))
        case _:
            schema.write_text('{"type": "nonsense"}')
    with pytest.raises(ContractError, match=r"note\.told\.v1|event-contracts\.json"):
        Contracts.load(folder)


def test_formats_are_checked(folder: Path) -> None:
    """A `format` in a schema is a rule, not a remark."""
    schema = folder / "schemas" / "note.told.v1.json"
    text = json.loads(schema.read_text())
    text["properties"]["text"]["format"] = "uuid"
    schema.write_text(json.dumps(text))
    spoilt = Contracts.load(folder)
    spoilt.encode(NoteTold(note_id="n", version=1, text="6f0c2f5e-8f0c-4d5e-9a7e-0b5f5c0d7a11"))
    with pytest.raises(ContractError, match="/text"):
        spoilt.encode(NoteTold(note_id="n", version=1, text="not one"))
