"""The benches are run as a user runs them: by the command, on the session's servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import ecom, private_home

__all__ = ["ecom", "private_home"]

# Half a minute is usual; the limit ends a hang, on the slowest machine too.
LIMIT_S = 400


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A bench may take longer than other tests."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(LIMIT_S))
