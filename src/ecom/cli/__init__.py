"""The `ecom` command line: one module a command, found by name and loaded only to say what it offers."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import traceback
from typing import NoReturn

import typer

from dovecote.errors import DovecoteError

# In the order of the help. A module that does not exist (yet) is no command.
COMMANDS = (
    "demo",
    "up",
    "serve",
    "catalogue",
    "check",
    "audit",
    "test",
    "bench",
    "relevance",
    "migrate",
    "topics",
    "contracts",
    "machines",
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


def main() -> NoReturn:
    """Run a command; what went wrong on purpose is one line, what did not is a traceback."""
    try:
        app(prog_name="ecom")
        code = 0
    except DovecoteError as error:
        code = _complain(f"ecom: {error}")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else _complain(end.code) if end.code else 0
    except BaseException:  # noqa: BLE001 (said whole, and then the end)
        code = _complain(traceback.format_exc())
    with contextlib.suppress(OSError):  # whoever read the output may be gone
        sys.stdout.flush()
        sys.stderr.flush()
    # Everything was stopped in order. What is left is to free Kafka's native handles one by one, which was seen
    # to wait for ever for an answer that a stopped broker no longer gives; the end of the process frees them all.
    os._exit(code)


def _complain(text: str) -> int:
    print(text.rstrip(), file=sys.stderr)
    return 1
