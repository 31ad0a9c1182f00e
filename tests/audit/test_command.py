"""`ecom audit` as an operator runs it: what it prints and how it exits."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from typer.testing import CliRunner

from ecom.audit.invariants import ELSEWHERE, INVARIANTS
from ecom.cli import app
from ecom.local import Servers
from ecom.local.home import REPOSITORY
from ecom.shop import Shop


@pytest.fixture
async def shop(empty_database_url: str, bootstrap: str, prefix: str) -> AsyncIterator[Shop]:
    """A migrated shop under a prefix of its own, without an order."""
    shop = Shop.all(os.environ, prefix=prefix)
    await shop.migrate(empty_database_url)
    await shop.create_topics(bootstrap)
    yield shop
    await shop.drop(empty_database_url, bootstrap)


async def audit(url: str, embedded: Servers, home: Path, *options: str) -> tuple[int, str]:
    """Run the command; its exit code and output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "ecom.cli", "audit", "--quiesced", *options),
        env={**os.environ, **embedded.environ, "ECOM_DATABASE_URL": url, "ECOM_HOME": str(home)},
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_books_that_agree_exit_0_and_others_1(
    shop: Shop, empty_database_url: str, embedded: Servers, tmp_path: Path
) -> None:
    """One sentence where all is well; else the findings, for people or as JSON, and exit 1."""
    options = ("--prefix", shop.prefix)
    assert await audit(empty_database_url, embedded, tmp_path, *options) == (0, "The books agree.\n")
    connection = await asyncpg.connect(empty_database_url)
    try:
        await connection.execute(f"SET search_path TO {shop.schema('inventory')}")
        await connection.execute("INSERT INTO stock VALUES ('a', 1, 0, now())")
    finally:
        await connection.close()
    code, out = await audit(empty_database_url, embedded, tmp_path, *options)
    assert (code, out.splitlines()[0]) == (1, "I2: stock does not add up (1)")
    code, out = await audit(empty_database_url, embedded, tmp_path, *options, "--json")
    assert (code, [each["invariant"] for each in json.loads(out)]) == (1, ["I2"])


async def test_a_shop_with_anothers_catalogue_is_audited_without_it(
    shop: Shop, empty_database_url: str, embedded: Servers, tmp_path: Path
) -> None:
    """Where product and search have no schema here, the rest is compared all the same; where nobody may write, too."""
    connection = await asyncpg.connect(empty_database_url)
    try:
        for name in ("product", "search"):
            await connection.execute(f"DROP SCHEMA {shop.schema(name)} CASCADE")
        name = urlsplit(empty_database_url).path.lstrip("/")
        await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    finally:
        await connection.close()
    try:
        assert await audit(empty_database_url, embedded, tmp_path, "--prefix", shop.prefix) == (0, "The books agree.\n")
    finally:
        connection = await asyncpg.connect(empty_database_url, server_settings={"default_transaction_read_only": "off"})
        await connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        await connection.close()


def test_the_list_says_what_is_asked() -> None:
    """A line a question, also as JSON, and why two invariants are none; no server is needed."""
    lines = CliRunner().invoke(app, ["audit", "--list"]).output.splitlines()
    assert lines[0] == "I1   at any time  stock is below zero"
    assert len(lines) == len(INVARIANTS) + len(ELSEWHERE)
    asked = json.loads(CliRunner().invoke(app, ["audit", "--list", "--json"]).output)
    assert asked[3] == {"invariant": "I4", "when": "at rest", "what": "an order waits beyond its deadline"}


@pytest.mark.parametrize("option", ["--journal", "--expected-dead-letters", "--expected-failed"])
def test_a_file_that_is_no_use_is_named(option: str, tmp_path: Path) -> None:
    """Before any server is asked, a sentence says which file cannot be read, or which holds what it should not."""
    missing = CliRunner().invoke(app, ["audit", option, str(tmp_path / "none")])
    assert missing.exit_code != 0
    assert "cannot be read" in f"{missing.output}{missing.exception}".replace("\n", " ")
    if option != "--expected-dead-letters":  # whose names may be anything
        (tmp_path / "wrong").write_text("nonsense\n")
        wrong = CliRunner().invoke(app, ["audit", option, str(tmp_path / "wrong")])
        assert wrong.exit_code != 0
        assert "line" in f"{wrong.output}{wrong.exception}"
