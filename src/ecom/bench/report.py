"""What a figure holds for: the machine, the versions, and the settings that decide what a commit costs."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from dovecote.sql import Sql

if TYPE_CHECKING:
    from dovecote.database import Database

Report = Mapping[str, Any]

# What decides how much a commit costs; a figure without them says nothing.
DURABILITY = Sql("""
    SELECT current_setting('server_version') AS postgres, current_setting('fsync') AS fsync,
           current_setting('synchronous_commit') AS synchronous_commit,
           current_setting('full_page_writes') AS full_page_writes
""")


async def surroundings(database: Database) -> Report:
    """Versions, settings and cores: what a figure holds for."""
    (row,) = await database.fetch(DURABILITY)
    settings = {name: row[name] for name in ("fsync", "synchronous_commit", "full_page_writes")}
    return {
        "versions": {
            "postgres": row["postgres"].split()[0],
            "python": platform.python_version(),
            **{name: version(name) for name in ("confluent-kafka", "asyncpg")},
        },
        "settings": {**settings, "acks": "all", "enable.idempotence": True},
        "cores": os.cpu_count(),
    }


def ratio(rate: float, floor: float | None) -> float | None:
    """A rate as a part of its floor's; None where no floor was run."""
    return round(rate / floor, 3) if floor else None
