"""What tests of the contracts share: what the code says, read once, and a copy of the contracts to spoil."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dovecote.contracts.code import Code
from ecom.contracts import CONTRACTS
from ecom.contracts.check import read_code


@pytest.fixture(scope="session")
def code() -> Code:
    """What the shop's code says."""
    return read_code()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the contracts to break."""
    return Path(shutil.copytree(CONTRACTS, tmp_path / "contracts" / "events"))
