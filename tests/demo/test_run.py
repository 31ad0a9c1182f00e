"""The whole demo as a user starts it, on servers of the user's own: it leaves nothing and touches nothing there."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from dovecote.kafka import Admin
from ecom.audit import journal
from ecom.audit.journal import Answered
from ecom.demo.diary import FILE as JOURNAL
from ecom.local import Servers
from ecom.local.home import REPOSITORY

ORDERS = 60


@pytest.fixture
def environ(embedded: Servers, tmp_path: Path) -> dict[str, str]:
    """The session's servers as the user's own, and a home of the test's."""
    return {**os.environ, **embedded.environ, "ECOM_HOME": str(tmp_path / "home")}


async def run(environ: Mapping[str, str], *arguments: str) -> tuple[int, str, str]:
    """An `ecom` command: its exit code, output and error output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "ecom.cli", *arguments),
        env=dict(environ),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def names(servers: Servers) -> dict[str, set[str]]:
    """Everything on the servers that a demo could leave behind."""
    connection = await asyncpg.connect(servers.database_url)
    try:
        schemas = await connection.fetch("SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg_temp%'")
        roles = await connection.fetch("SELECT rolname FROM pg_roles")
    finally:
        await connection.close()
    topics = await Admin(servers.bootstrap).topics()
    return {
        "schemas": {row["nspname"] for row in schemas if row["nspname"].startswith("demo_")},
        "roles": {row["rolname"] for row in roles if row["rolname"].startswith("demo_")},
        "topics": {topic for topic in topics if topic.startswith("demo_")},
    }


async def test_a_demo_ends_clean_and_leaves_nothing(embedded: Servers, environ: dict[str, str]) -> None:
    """Every order is final, every state of the saga is seen, the books agree, and all it made is gone after."""
    before = await names(embedded)
    code, out, err = await run(environ, "demo", "--orders", str(ORDERS), "--json")
    assert code == 0, err
    result: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert set(result) == {
        *("orders", "final", "states", "orders_per_s", "latency_ms", "latency_ms_all", "audit", "findings"),
        *("products", "refused"),
    }
    assert result["orders"] == result["final"] == ORDERS == sum(result["states"].values())
    assert set(result["states"]) == {"CONFIRMED", "FAILED", "TIMED_OUT", "CANCELLED"}
    assert (result["audit"], result["findings"]) == ("clean", [])
    assert result["products"] > ORDERS
    assert result["refused"] == 1
    assert f"{result['products']:,} products are in the catalogue and can be found" in err
    assert "'bananas 40 lb' finds BANANAS 40 LB at " in err
    assert 0 < result["latency_ms"]["p50"] <= result["latency_ms"]["p95"] <= result["latency_ms"]["p99"]
    assert result["orders_per_s"] > 0
    assert await names(embedded) == before
    written = list(journal.read(Path(environ["ECOM_HOME"]) / JOURNAL))
    assert sum(isinstance(line, Answered) and line.status == 201 for line in written) == ORDERS


async def test_a_taken_port_is_named(embedded: Servers, environ: dict[str, str], port: int) -> None:
    """One sentence says which port cannot be used, before anything is started."""
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", port)
    try:
        code, out, err = await run(environ, "demo", "--orders", "1", "--port", str(port))
    finally:
        server.close()
    assert (code, out) == (1, "")
    assert str(port) in err
    assert len(err.splitlines()) == 1
