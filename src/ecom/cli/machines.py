"""`ecom machines`: the pictures and tables of the state machines, written anew from the tables that the code reads."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(machines)


def machines(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 where a document is stale.")] = False,
) -> None:
    """Draw the state machines into DESIGN.md and docs/state-machines.md."""
    from ecom.contracts.check import ROOT
    from ecom.machines.shop import COMMAND, DESIGN, PAGE, stale

    old = stale()
    for name in (DESIGN, PAGE):
        if name in old and not check:
            (ROOT / name).write_text(old[name], encoding="utf-8")
        typer.echo(f"{name}  {'fresh' if name not in old else f'stale: run {COMMAND}' if check else 'written'}")
    raise typer.Exit(1 if old and check else 0)
