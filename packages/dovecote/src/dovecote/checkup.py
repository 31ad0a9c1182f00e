"""A look at a service's database before anything starts: is it reached directly, is its schema up to date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from dovecote.errors import UnavailableError
from dovecote.migrate import OWN_MIGRATIONS

_CONNECT_S = 5


@dataclass(frozen=True, slots=True)
class Checkup:
    """What was found."""

    is_pooled: bool
    missing: Sequence[str]


def look(url: str, *, schema: str, folders: Sequence[Path]) -> Checkup:
    """Look at a database without changing it. Blocking.

    Raises UnavailableError where the server cannot be reached.
    """
    wanted = [path.stem for folder in (OWN_MIGRATIONS, *folders) for path in sorted(folder.glob("*.sql"))]
    try:
        with _connect(url) as first, _connect(url) as second:
            # Two open sessions have two backends; behind a transaction pooler both statements run on one.
            is_pooled = _backend(first) == _backend(second)
            applied = _applied(first, schema)
    except psycopg.OperationalError as error:
        raise UnavailableError(f"The database cannot be reached: {error}") from error
    return Checkup(is_pooled, [name for name in wanted if name not in applied])


def _connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url, autocommit=True, connect_timeout=_CONNECT_S, prepare_threshold=None)


def _backend(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return int(row[0]) if row else 0


def _applied(connection: psycopg.Connection, schema: str) -> set[str]:
    table = connection.execute("SELECT to_regclass(%s)", (f'"{schema}"._yoyo_migration',)).fetchone()
    if table is None or table[0] is None:
        return set()
    query = sql.SQL("SELECT migration_id FROM {}._yoyo_migration").format(sql.Identifier(schema))
    return {row[0] for row in connection.execute(query)}
