"""What `./ecom simulate` refuses, before any server is started."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from ecom.cli import app


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--seeds", "x"], "is no range of seeds"),
        (["--seeds", "9..5"], "is no range of seeds"),
        (["--scenario", "nonsense"], "There is no"),
        (["--world", "nonsense"], "no small world"),
        (["--small", "--ledger"], "whole scenarios only"),
        (["--all", "--scenario", "sale", "--ledger"], "whole scenarios only"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], why: str) -> None:
    """A wrong option ends with the reason and the exit code of a usage error."""
    result = CliRunner().invoke(app, ["simulate", *arguments])
    assert result.exit_code == 2
    assert why in result.output
