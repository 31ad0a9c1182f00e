"""A home whose servers a test may stop, kill and start again without hurting another test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ecom.datasets import articles
from ecom.local import Home
from ecom.local.place import temporary_home
from tests.faults.processes import kill_all


@pytest.fixture(scope="session")
def baskets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The year of baskets and its products, read once for all homes."""
    folder = tmp_path_factory.mktemp("baskets")
    articles.products(folder)
    return folder


@pytest.fixture
def folder(baskets: Path) -> Iterator[Home]:
    """A home with nothing in it but the baskets."""
    with temporary_home() as home:
        home.make()
        (home.path / "cache").symlink_to(baskets)
        yield home


@pytest.fixture
async def own(folder: Home) -> AsyncIterator[Home]:
    """The test's own home; whatever still runs on it at the end is killed."""
    try:
        yield folder
    finally:
        await kill_all(folder)
