"""`ecom topics`: creates the topics that are missing and lists all."""

from __future__ import annotations

import os
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command(name="topics")(topics)


def topics(prefix: Annotated[str, typer.Option(help="Goes before every topic.")] = "") -> None:
    """Create the topics that are missing and list all, with their partitions."""
    from ecom.cli import logs, loop

    logs.set_up("WARNING")
    loop.run(_topics(prefix))


async def _topics(prefix: str) -> None:
    from dovecote.kafka import Admin
    from ecom.local import Home, home_path, joined_servers
    from ecom.shop import Shop

    shop = Shop.all(os.environ, prefix=prefix)
    async with joined_servers(Home(home_path(os.environ)), os.environ) as running:
        created = set(await shop.create_topics(running.bootstrap))
        known = await Admin(running.bootstrap).topics()
        for topic in sorted({topic for name in shop.built for topic in shop.topics(name)}):
            typer.echo(f"{topic}  {known.get(topic, 0)} partitions{'  created' if topic in created else ''}")
