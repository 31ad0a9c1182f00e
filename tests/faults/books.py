"""The shop's tables as a test reads them: on a connection of its own each time, because servers come and go."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from ecom.local import Home
from ecom.local.postgres import NAME, start_postgres, url
from ecom.shop import SERVICES

__all__ = ["AWAY", "FINAL", "SERVICES", "ask", "harm", "orders"]

FINAL = {"CONFIRMED", "FAILED", "TIMED_OUT", "CANCELLED"}

# What PostgreSQL says while it starts, stops, or has no tables yet.
AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


async def ask(home: Home, sql: str, *args: object) -> list[Any]:
    """The rows of one statement."""
    record = home.record(NAME)
    if record is None or not record.port:
        raise ConnectionRefusedError
    connection = await asyncpg.connect(url(record), timeout=5)
    try:
        return list(await connection.fetch(sql, *args))
    finally:
        await connection.close()


async def orders(home: Home) -> dict[str, str]:
    """The status of every order."""
    return {row["id"]: row["status"] for row in await ask(home, "SELECT id, status FROM order_service.orders")}


async def harm(home: Home) -> dict[str, int]:
    """What an outage must never leave: dead letters and FAILED outbox records of every service."""
    counts = {}
    for service in SERVICES:
        schema = f"{service}_service"
        rows = await ask(
            home,
            f"SELECT (SELECT count(*) FROM {schema}.dead_letter) AS letters,"
            f" (SELECT count(*) FROM {schema}.outbox_event_record WHERE status = 'FAILED') AS failed",
        )
        counts |= {f"{service} dead letters": rows[0]["letters"], f"{service} FAILED records": rows[0]["failed"]}
    return {what: count for what, count in counts.items() if count}


@contextlib.asynccontextmanager
async def opened(home: Home) -> AsyncIterator[None]:
    """The database of a shop that is closed, open for reading until the block ends."""
    server = await start_postgres(home)
    try:
        yield
    finally:
        await server.stop()
