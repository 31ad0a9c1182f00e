"""House rules about services: the same files in every one, and each says what it owns, says and hears."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from ecom.shop import SERVICES
from tests.house.repository import ROOT

SHAPE = {
    "__init__.py",
    "application.yml",
    "domain.py",
    "handlers.py",
    "http.py",
    "jobs.py",
    "migrations",
    "service.py",
    "store.py",
}


def folder(service: str) -> Path:
    """The folder of a service."""
    return ROOT / "src" / "ecom" / service


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_same_files(service: str) -> None:
    """Who knows one service finds his way in every other."""
    assert {path.name for path in folder(service).iterdir()} >= SHAPE


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_says_what_it_owns_says_and_hears(service: str) -> None:
    """The package's docstring names the three, so that the flow can be read without the code."""
    doc = (importlib.import_module(f"ecom.{service}").__doc__ or "").lower()
    assert all(word in doc for word in ("own", "say", "hear")), doc


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_called_what_it_is(service: str) -> None:
    """Name, schema, consumer group and producer follow from the folder's name."""
    module = importlib.import_module(f"ecom.{service}.service")
    expected = (f"{service}-service", f"{service}_service")
    assert expected == (module.NAME, module.SCHEMA)


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_tests_beside_its_name(service: str) -> None:
    """tests/ mirrors src/ecom/."""
    assert list((ROOT / "tests" / service).glob("test_*.py"))
