"""Migrations: plain numbered SQL files, run by yoyo, one schema for each service.

Blocking (psycopg): run it on a thread, or before the loop starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import psycopg
import yoyo
from psycopg import sql

from dovecote.errors import UnavailableError

OWN_MIGRATIONS = Path(__file__).parent / "migrations"
# yoyo's own lock is a row that a killed process leaves behind; this one ends with its session.
_LOCK = 0x646F7665


def migrate(url: str, *, schema: str, folders: Sequence[Path], role: str | None = None) -> int:
    """Bring a schema up to date with the library's migrations and those in the folders; says how many ran.

    With a role, it is made where it is missing (and the user may), and may use the schema's tables.
    Raises UnavailableError where the server cannot be reached.
    """
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
            applied = _apply(url, schema, [OWN_MIGRATIONS, *folders])
            if role is not None:
                _grant(connection, schema, role)
            return applied
    except psycopg.OperationalError as error:
        raise UnavailableError(f"The database cannot be migrated: {_in_one_line(error)}") from error


def may_create_roles(url: str) -> bool:
    """Whether the user of the URL may create roles. Raises UnavailableError where the server cannot be reached."""
    try:
        with psycopg.connect(url) as connection:
            row = connection.execute(
                "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
    except psycopg.OperationalError as error:
        raise UnavailableError(f"The database cannot be reached: {_in_one_line(error)}") from error
    return bool(row and row[0])


def drop(url: str, *, schema: str, role: str | None = None) -> None:
    """Drop a schema with all that is in it, and its role: for schemas that a demo or a test made."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))
        if role is not None:
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _apply(url: str, schema: str, folders: Sequence[Path]) -> int:
    parts = urlsplit(url)
    query = urlencode({"options": f"-c search_path={schema}"}, quote_via=quote)
    backend = yoyo.get_backend(
        urlunsplit(parts._replace(scheme="postgresql+psycopg", query="&".join(filter(None, [parts.query, query]))))
    )
    try:
        wanted = backend.to_apply(yoyo.read_migrations(*map(str, folders)))
        backend.apply_migrations(wanted)
        return len(wanted)
    finally:
        backend.connection.close()


def _grant(connection: psycopg.Connection, schema: str, role: str) -> None:
    exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
    names = {"role": sql.Identifier(role), "schema": sql.Identifier(schema)}
    if not exists:
        connection.execute(sql.SQL("CREATE ROLE {role} NOLOGIN").format(**names))
    for statement in (
        "GRANT {role} TO CURRENT_USER",
        "GRANT USAGE ON SCHEMA {schema} TO {role}",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
    ):
        connection.execute(sql.SQL(statement).format(**names))
