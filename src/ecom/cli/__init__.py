"""The `ecom` command line: one module a command, found by name and loaded only to say what it offers."""

from __future__ import annotations

import importlib
import importlib.util
import sys

import typer

from dovecote.errors import DovecoteError

# In the order of the help. A module that does not exist (yet) is no command.
COMMANDS = (
    "demo",
    "up",
    "serve",
    "check",
    "audit",
    "test",
    "bench",
    "migrate",
    "topics",
    "contracts",
    "outbox",
    "dlq",
    "trace",
    "simulate",
    "provider",
)

app = typer.Typer(
    name="ecom",
    help="A shop of services that meet only in their events, on real PostgreSQL and real Kafka.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _name in COMMANDS:
    if importlib.util.find_spec(f"ecom.cli.{_name}") is not None:
        importlib.import_module(f"ecom.cli.{_name}").register(app)


def main() -> None:
    """Run a command; what went wrong on purpose is one line, what did not is a traceback."""
    try:
        app(prog_name="ecom")
    except DovecoteError as error:
        sys.exit(f"ecom: {error}")
