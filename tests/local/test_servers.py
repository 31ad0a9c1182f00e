"""The embedded servers answer, keep their data, survive their launcher, and leave nothing behind."""

from __future__ import annotations

import asyncpg

from ecom.local import Servers


async def test_postgres_answers_with_durable_settings(embedded: Servers) -> None:
    """The embedded database is the real one, durable, and lets nobody in without the password."""
    connection = await asyncpg.connect(embedded.database_url)
    try:
        shown = [await connection.fetchval(f"SHOW {name}") for name in ("fsync", "synchronous_commit", "jit")]
    finally:
        await connection.close()
    assert shown == ["on", "on", "off"]
