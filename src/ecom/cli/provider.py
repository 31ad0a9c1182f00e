"""`ecom provider`: the simulated payment provider, a process of its own with a book that the shop cannot write."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command(name="provider")(provider)


def provider(
    port: Annotated[int, typer.Option(help="0 takes a free one; HOME/provider.url says which.")] = 0,
    home: Annotated[Path | None, typer.Option(help="Folder of the ledger; ECOM_HOME/provider where not given.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of its decisions.")] = 1,
    late_seconds: Annotated[float | None, typer.Option(help="How late its late answers come.")] = None,
) -> None:
    """Run the simulated payment provider; no money moves."""
    from ecom.cli import logs
    from ecom.local import home_path
    from ecom.provider.ledger import LedgerError
    from ecom.provider.plan import LATE
    from ecom.provider.server import main

    logs.set_up("WARNING")
    late = LATE if late_seconds is None else timedelta(seconds=late_seconds)
    try:
        main(port=port, home=home or home_path(os.environ) / "provider", seed=seed, late=late)
    except (LedgerError, OSError) as error:
        raise SystemExit(f"ecom: {error}") from error
