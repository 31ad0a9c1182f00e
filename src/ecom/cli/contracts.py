"""`ecom contracts check`: registry, schemas, Structs and services, compared with each other."""

from __future__ import annotations

from pathlib import Path

import typer

contracts = typer.Typer(help="Event contracts.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(contracts, name="contracts")


@contracts.callback()
def _group() -> None:
    """Event contracts."""


@contracts.command()
def check() -> None:
    """Compare registry, schemas, Structs and services; the reports go to build-artifacts."""
    from ecom.contracts.check import check as compare
    from ecom.contracts.report import write

    verdict = compare()
    write(verdict, Path(__file__).resolve().parents[3] / "build-artifacts")
    for problem in verdict.problems:
        typer.echo(problem, err=True)
    typer.echo(f"{len(verdict.events)} event contracts, {len(verdict.problems)} errors")
    raise typer.Exit(1 if verdict.problems else 0)
