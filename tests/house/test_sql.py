"""House rules about SQL: PostgreSQL prepares every statement, each stands in a store, and none reads a clock."""

from __future__ import annotations

import ast
import asyncio
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

import dovecote
import ecom
from dovecote.migrate import migrate
from dovecote.sql import Sql
from ecom.bench import stand
from ecom.shop import SERVICES
from tests.house.repository import relative, tracked

CLOCK = re.compile(
    r"\b(now\s*\(|clock_timestamp|statement_timestamp|current_timestamp|localtimestamp|random\s*\()", re.IGNORECASE
)
# The one statement that may: it is how the library learns the database's time.
MAY_READ_THE_CLOCK = {"READ_CLOCK"}


def statements() -> Iterator[tuple[str, str, Sql]]:
    """Every module-level Sql constant: its module, its name, itself."""
    for package in (dovecote, ecom):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if found.name.endswith("__main__") or found.name.startswith("ecom.cli"):
                continue
            module = importlib.import_module(found.name)
            for name, value in vars(module).items():
                if isinstance(value, Sql):
                    yield module.__name__, name, value


ALL = {value.text: (module, name) for module, name, value in statements()}


def test_the_rules_see_the_statements() -> None:
    """Statements were found in the library and in every service."""
    modules = {module for module, _ in ALL.values()}
    for start in ("dovecote.", *(f"ecom.{service}." for service in SERVICES)):
        assert any(module.startswith(start) for module in modules), start


async def test_postgres_prepares_every_statement(database_url: str) -> None:
    """Each statement parses and all its tables, columns and types exist in the schema of the service that uses it."""
    schemas = [*(f"{service}_service" for service in SERVICES), "bench_stand"]
    await asyncio.to_thread(migrate, database_url, schema="bench_stand", folders=[stand.MIGRATIONS])
    wrong = {}
    connection = await asyncpg.connect(database_url)
    try:
        for text, (module, name) in ALL.items():
            owner = next((f"{service}_service" for service in SERVICES if module.startswith(f"ecom.{service}.")), None)
            # The library's statements work in every schema; who reads across services reads one schema a statement.
            errors = []
            for schema in [owner] if owner else schemas:
                await connection.execute(f"SET search_path TO {schema}")
                try:
                    await connection.prepare(text)
                    break
                except asyncpg.PostgresError as error:
                    errors.append(f"{schema}: {error}")
            else:
                wrong[f"{module}.{name}"] = errors[-1]
    finally:
        await connection.close()
    assert wrong == {}


def test_no_statement_reads_a_clock_or_throws_dice() -> None:
    """Time comes in as a parameter, so that a simulator can own it; so does chance."""
    found = [
        f"{module}.{name}"
        for text, (module, name) in ALL.items()
        if CLOCK.search(text) and name not in MAY_READ_THE_CLOCK
    ]
    assert found == []


def test_no_migration_has_a_clock_or_names_a_schema_or_role() -> None:
    """No DEFAULT now() in a table; a migration runs in whatever schema it is put."""
    names = re.compile(r"\b(\w+_service\.|search_path|CREATE (SCHEMA|ROLE)|OWNER TO|GRANT)\b", re.IGNORECASE)
    files = tracked("*.sql")
    assert len(files) >= len(SERVICES) + 1
    found = []
    for path in files:
        text = re.sub(r"--[^\n]*", "", path.read_text())
        found += [f"{relative(path)}: {match[0]}" for rule in (CLOCK, names) if (match := rule.search(text))]
    assert found == []


def test_migrations_are_numbered_without_gaps() -> None:
    """0001, 0002, …: the number is the order, and no two files share one."""
    folders: dict[Path, list[int]] = {}
    for path in sorted(tracked("*/migrations/*.sql")):
        folders.setdefault(path.parent, []).append(int(path.name.split("_")[0]))
    assert folders
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in folders.values()), folders


def test_sql_is_constant_text() -> None:
    """No statement is put together: what is sent is what is read."""
    found = []
    for path in tracked("src/*.py", "packages/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Sql":
                (text,) = node.args
                if not isinstance(text, ast.Constant):
                    found.append(f"{relative(path)}:{node.lineno}")
    assert found == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_services_sql_stands_in_its_stores(service: str) -> None:
    """SQL has one address in a service: store.py, or a store named after what it keeps."""
    homes = {module.rsplit(".", 1)[1] for module, _ in ALL.values() if module.startswith(f"ecom.{service}.")}
    assert all(home == "store" or home.endswith("_store") for home in homes), homes
