"""`ecom contracts`: the check of all event contracts, held against those of before, and their release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from dovecote.errors import ContractError, DovecoteError
from ecom.cli import contract_pages

if TYPE_CHECKING:
    from dovecote.contracts.report import Report

contracts = typer.Typer(help="Event contracts.", no_args_is_help=True)
WIDTH_MIN = 150
"""Columns of the table where no terminal says how many there are."""


def register(app: typer.Typer) -> None:
    contract_pages.register(contracts)
    app.add_typer(contracts, name="contracts")


@contracts.callback()
def _group() -> None:
    """Event contracts."""


@contracts.command()
def check(
    base: Annotated[str, typer.Option(help="Compare with this git ref instead of the newest release.")] = "",
    old: Annotated[Path | None, typer.Option(help="With --new: compare two folders; no code is asked.")] = None,
    new: Annotated[Path | None, typer.Option(help="The newer folder, with a registry in it.")] = None,
    allow_unread: Annotated[bool, typer.Option("--allow-unread", help="Pass what breaks and nobody reads.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Check registry, schemas, examples, code and topics, and what changed; exit 1 where something may not pass.

    The reports go to build-artifacts/event-contracts-report.json and .md.
    """
    from dovecote.contracts.report import as_json as machine
    from dovecote.contracts.report import write
    from ecom.cli import logs
    from ecom.contracts.check import REPORTS

    logs.set_up("WARNING")
    if (old is None) != (new is None) or (old is not None and base):
        _refuse("--old and --new go together, and without --base")
    try:
        report = _between(old, new, allow_unread) if old and new else _gate(base, allow_unread)
    except DovecoteError as error:
        typer.echo(f"ecom contracts: {_line(error)}", err=True)
        raise typer.Exit(1) from error
    write(report, REPORTS)
    if as_json:
        typer.echo(machine(report), nl=False)
    else:
        _print(report)
    raise typer.Exit(0 if report.ok else 1)


@contracts.command()
def release(version: Annotated[str, typer.Argument(help="The version of the CHANGELOG, such as 0.1.0.")]) -> None:
    """Keep the contracts of a release for ever; refused where a check fails or a change breaks somebody."""
    from dovecote.contracts.promise import said_on
    from dovecote.contracts.release import release as keep
    from ecom.cli import logs
    from ecom.contracts import CONTRACTS
    from ecom.contracts.check import RELEASED, ROOT, read_code

    logs.set_up("WARNING")
    report = _gate("", allow_unread=False)
    if not report.ok:
        _print(report)
        typer.echo(f"ecom contracts: {version} is not released: mend the above first", err=True)
        raise typer.Exit(1)
    try:
        made = keep(version, CONTRACTS, RELEASED, said_on(report.events, read_code().topics))
    except ContractError as error:
        _refuse(_line(error))
    typer.echo(f"{made.folder.relative_to(ROOT).as_posix()}: {len(report.events)} events of release {made.version}")


def _gate(base: str, allow_unread: bool) -> Report:
    from dovecote.contracts.gate import gate
    from dovecote.contracts.promise import Promise
    from dovecote.contracts.release import releases
    from ecom.contracts import CONTRACTS
    from ecom.contracts.check import RELEASED, ROOT, read_code

    code = read_code()
    folder, released = (place.relative_to(ROOT).as_posix() for place in (CONTRACTS, RELEASED))
    try:
        before = Promise.at_ref(ROOT, base, folder, code, released) if base else None
    except ContractError as error:
        _refuse(_line(error))
    return gate(CONTRACTS, code, released=releases(RELEASED), before=before, allow_unread=allow_unread)


def _between(old: Path, new: Path, allow_unread: bool) -> Report:
    from dovecote.contracts.gate import between
    from dovecote.contracts.promise import Promise
    from dovecote.contracts.snapshot import Snapshot

    try:
        promise, now = Promise(str(old), Snapshot.of_folder(old)), Snapshot.of_folder(new)
    except ContractError as error:
        _refuse(_line(error))
    return between(promise, now, allow_unread=allow_unread)


def _print(report: Report) -> None:
    """A table of all events, then errors and changes, one after the other."""
    from rich.console import Console
    from rich.table import Table

    from dovecote.contracts.report import HEADINGS, as_text

    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_MIN)
    table = Table(*HEADINGS, title="event contracts")
    for row in report.rows():
        table.add_row(*row)
    console.print(table)
    typer.echo(as_text(report))


def _line(error: Exception) -> str:
    """An error's words on one line: what a parser of YAML says has many."""
    return " ".join(str(error).split())


def _refuse(why: str) -> NoReturn:
    """What was asked cannot be done: one line, and an exit code of its own."""
    typer.echo(f"ecom contracts: {why}", err=True)
    raise typer.Exit(2)
