"""`ecom audit` as an operator runs it: what it prints and how it exits."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

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
    """Where product and search have no schema here, the rest is compared all the same."""
    connection = await asyncpg.connect(empty_database_url)
    try:
        for name in ("product", "search"):
            await connection.execute(f"DROP SCHEMA {shop.schema(name)} CASCADE")
    finally:
        await connection.close()
    assert await audit(empty_database_url, embedded, tmp_path, "--prefix", shop.prefix) == (0, "The books agree.\n")
