"""`ecom migrate`: brings every service's schema up to date."""

from __future__ import annotations

import os
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command(name="migrate")(migrate)


def migrate(prefix: Annotated[str, typer.Option(help="Goes before every schema.")] = "") -> None:
    """Bring every service's schema up to date."""
    from ecom.cli import logs, loop

    logs.set_up("WARNING")
    loop.run(_migrate(prefix))


async def _migrate(prefix: str) -> None:
    from ecom.local import Home, home_path, joined_servers
    from ecom.shop import Shop

    shop = Shop.all(os.environ, prefix=prefix)
    async with joined_servers(Home(home_path(os.environ)), os.environ) as running:
        for name, count in (await shop.migrate(running.database_url)).items():
            typer.echo(f"{shop.schema(name)}: {f'{count} migrations applied' if count else 'up to date'}")
